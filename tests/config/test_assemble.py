"""The model as other packages' values."""

from pathlib import Path

import pytest

from shardproxy.backend.server import Address
from shardproxy.config import assemble
from shardproxy.config.model import Config
from shardproxy.errors import ConfigError
from shardproxy.secret import Secret
from shardproxy.topology.keys import KeyFamily, bucket
from shardproxy.topology.tables import Local, Reference, Sharded
from tests.config.conftest import GOOD, Reader


def config_of(read_yaml: Reader, text: str) -> Config:
    loaded = read_yaml(text)
    assert loaded.mistakes == ()
    assert loaded.config is not None
    return loaded.config


def test_tables(read_yaml: Reader) -> None:
    rules = assemble.table_rules(
        config_of(
            read_yaml,
            GOOD
            + """\
groups: {device: int2, tenant: varchar, doc: uuid}
tables:
  Orders: {key: Tenant_ID}
  sales."Readings": {key: '"Device"', group: device}
  currencies: reference
  countries: {reference: true}
  audit: {local: b}
""",
        )
    )
    assert rules.rules == {
        ("public", "orders"): Sharded("tenant_id", "tenant"),
        ("sales", "Readings"): Sharded("Device", "device"),
        ("public", "currencies"): Reference(),
        ("public", "countries"): Reference(),
        ("public", "audit"): Local("b"),
    }
    assert rules.groups == {
        "device": KeyFamily.INTEGER,
        "tenant": KeyFamily.TEXT,
        "doc": KeyFamily.UUID,
    }


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("", "tenant"),
        ("groups: {device: int8, tenant: text}", "tenant"),
        ("groups: {device: int8, doc: uuid}", "device"),
        ("groups: {device: int8, tenant: text}\ntenant_group: device", "device"),
    ],
)
def test_the_tenant_group(read_yaml: Reader, groups: str, expected: str) -> None:
    assert assemble.table_rules(config_of(read_yaml, f"{GOOD}{groups}\n")).tenant_group == expected


def test_the_shard_map(read_yaml: Reader) -> None:
    shard_map = assemble.shard_map(
        config_of(
            read_yaml,
            GOOD
            + """\
designated: b
groups: {tenant: text, device: {type: int8, placements: {-7: b}}}
placements: {NO: b, 007: a}
""",
        )
    )
    assert shard_map.shards == ("a", "b")
    assert shard_map.designated == 1
    assert shard_map.placements == {("tenant", b"NO"): 1, ("tenant", b"007"): 0, ("device", -7): 1}
    key = b"somebody"
    assert shard_map.owner("tenant", KeyFamily.TEXT, key) == shard_map.owners[bucket(KeyFamily.TEXT, key)]


def test_weights_and_virtual_nodes_decide_who_owns_what(read_yaml: Reader) -> None:
    even = assemble.shard_map(config_of(read_yaml, GOOD))
    other_ring = assemble.shard_map(config_of(read_yaml, GOOD + "ring: {virtual_nodes: 7}\n"))
    heavy = assemble.shard_map(config_of(read_yaml, GOOD.replace("name: b", "name: b, weight: 9")))
    none = assemble.shard_map(config_of(read_yaml, GOOD.replace("name: b", "name: b, weight: 0")))
    assert even.owners != other_ring.owners
    assert sum(heavy.owners) / len(heavy.owners) == pytest.approx(0.9, abs=0.03)
    assert set(none.owners) == {0}


def test_logins_and_addresses_of_servers(read_yaml: Reader) -> None:
    first, second = assemble.shard_specs(
        config_of(
            read_yaml,
            """\
database: app
auth: {method: trust}
server: {user: u, password: p, database: d}
shards:
  - {name: a, primary: "10.0.0.1", replicas: ["[::1]:6", /run/pg:7]}
  - {name: b, primary: {unix: /run/pg}, user: v, database: e}
""",
        )
    )
    assert [server.address for server in (first.primary, *first.replicas)] == [
        Address("10.0.0.1", 5432),
        Address("::1", 6),
        Address("/run/pg", 7),
    ]
    assert second.primary.address == Address("/run/pg", 5432)
    assert second.primary.address.socket_path == str(Path("/run/pg/.s.PGSQL.5432"))
    login, other = first.primary.login, second.primary.login
    assert (login.user, login.password, login.database) == ("u", Secret("p"), "d")
    assert (other.user, other.database) == ("v", "e")
    assert other.password is None, "another role's password goes to nobody"


def test_the_database_on_the_shards_is_the_one_clients_name(read_yaml: Reader) -> None:
    first, _ = assemble.shard_specs(config_of(read_yaml, GOOD))
    assert first.primary.login.database == "app"


def test_the_operators_login_is_one_on_all_shards_and_only_the_database_follows_the_shard(
    read_yaml: Reader,
) -> None:
    text = GOOD.replace("{name: b, ", "{name: b, user: bob, password: x, database: other, ")
    config = config_of(read_yaml, text + "operator: {user: postgres, password: secret}\n")
    a, b = assemble.operator_specs(config)
    for spec, database in ((a, "app"), (b, "other")):
        login = spec.primary.login
        assert (login.user, login.password, login.database) == ("postgres", Secret("secret"), database)
    assert all(replica.login == spec.primary.login for spec in (a, b) for replica in spec.replicas)


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        ("", "operator.user is missing"),
        ("operator: {user: o, password_env: PW}", "the environment variable PW has no password"),
        ("operator: {user: o, password_file: pw}", "operator.password_file: pw cannot be read"),
    ],
)
def test_an_operator_without_a_login_is_told_what_is_missing(
    read_yaml: Reader, operator: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        assemble.operator_specs(config_of(read_yaml, GOOD + operator + "\n"))
