"""Every obstacle is named before anything is changed, with what to do about it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.demo.postgres import Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.topology.tables import Reference, Sharded
from tests.rebalance.installed import QUICK
from tests.rebalance.pair import ORDERS, Pair
from tests.support.aio import run
from tests.support.rest import wait_until

ORDER = "INSERT INTO orders (tenant_id, id) VALUES ('acme', 1)"
TENANT = Sharded("tenant_id", "tenant")

CASES = {
    "missing": ("", "the table orders does not exist"),
    "no key column": ("CREATE TABLE orders (id int PRIMARY KEY)", "orders has no column tenant_id"),
    "a view": (
        "CREATE TABLE t (tenant_id text PRIMARY KEY); CREATE VIEW orders AS SELECT * FROM t",
        "orders is no table (relkind v)",
    ),
    "unlogged": ("CREATE UNLOGGED TABLE orders (tenant_id text PRIMARY KEY)", "is unlogged"),
    "no primary key": ("CREATE TABLE orders (tenant_id text, id int)", "has no replica identity"),
    "identity nothing": (
        "CREATE TABLE orders (tenant_id text PRIMARY KEY); ALTER TABLE orders REPLICA IDENTITY NOTHING",
        "has no replica identity",
    ),
    "identity without the key": (
        "CREATE TABLE orders (tenant_id text, id int PRIMARY KEY)",
        "the replica identity public.orders_pkey of orders does not have the sharding key",
    ),
    "unique without the key": (
        ORDERS + "CREATE UNIQUE INDEX by_note ON orders (note)",
        "exclusion constraint public.by_note on orders does not have the sharding key",
    ),
    "unique with the key only included": (
        ORDERS + "CREATE UNIQUE INDEX by_note ON orders (note) INCLUDE (tenant_id)",
        "exclusion constraint public.by_note on orders does not have the sharding key",
    ),
    "exclusion": (
        ORDERS + "ALTER TABLE orders ADD CONSTRAINT alone EXCLUDE USING hash (note WITH =)",
        "exclusion constraint public.alone on orders does not have",
    ),
    "always trigger": (
        ORDERS
        + "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        + "CREATE TRIGGER log AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f();"
        + "ALTER TABLE orders ENABLE ALWAYS TRIGGER log",
        "the trigger log on orders is ENABLE ALWAYS",
    ),
    "rule": (
        ORDERS
        + "CREATE RULE keep AS ON DELETE TO orders DO INSTEAD NOTHING; ALTER TABLE orders ENABLE REPLICA RULE keep",
        "the rule keep on orders",
    ),
    "inheritance": (ORDERS + "CREATE TABLE child () INHERITS (orders)", "orders and public.child inherit"),
    "generated key": (
        "CREATE TABLE orders (id text, tenant_id text GENERATED ALWAYS AS (lower(id)) STORED, UNIQUE (tenant_id));"
        "ALTER TABLE orders REPLICA IDENTITY FULL",
        "the sharding key orders.tenant_id is a generated column",
    ),
    "collation": (
        'CREATE COLLATION mine FROM "C"; CREATE TABLE orders (tenant_id text COLLATE mine PRIMARY KEY)',
        "the sharding key orders.tenant_id has a collation that is not built in",
    ),
    "foreign key to elsewhere": (
        "CREATE TABLE notes (id int PRIMARY KEY); CREATE TABLE orders (tenant_id text PRIMARY KEY, note int REFERENCES notes)",
        "refers to rows that do not come along",
    ),
    "foreign key without the key": (
        "CREATE TABLE orders (tenant_id text, id int, parent int, PRIMARY KEY (tenant_id, id), UNIQUE (id),"
        " FOREIGN KEY (parent) REFERENCES orders (id))",
        "refers to rows that do not come along",
    ),
    "foreign key from elsewhere": (
        "CREATE TABLE orders (tenant_id text PRIMARY KEY); CREATE TABLE notes (id int PRIMARY KEY, about text REFERENCES orders)",
        "refers to rows of orders that move, from rows that do not",
    ),
    "foreign partition": (
        "CREATE TABLE orders (tenant_id text, id int, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id);"
        "CREATE TABLE first PARTITION OF orders FOR VALUES FROM (0) TO (10);"
        "ALTER TABLE first SET UNLOGGED",
        "public.first (orders) is unlogged",
    ),
}


@pytest.mark.parametrize(("ddl", "said"), CASES.values(), ids=CASES)
def test_a_table_that_cannot_move_is_named(servers: tuple[Server, Server], ddl: str, said: str) -> None:
    pair = Pair.create(servers, ddl)
    found = [each for each in pair.obstacles("acme") if not each.warning]
    assert any(said in each.what and each.what.startswith("shard left and shard right") for each in found), (
        found
    )
    with pytest.raises(Obstructed) as obstructed:
        pair.move("acme")
    assert said in str(obstructed.value.detail)
    assert pair.query("left", "SELECT count(*) FROM shardproxy.move") == [(0,)]


def test_all_obstacles_come_at_once(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(
        servers,
        ORDERS + "CREATE UNIQUE INDEX by_note ON orders (note); CREATE TABLE items (tenant_id text, id int)",
        {"orders": TENANT, "items": TENANT, "gone": TENANT},
    )
    pair.query("right", "ALTER TABLE orders ADD extra int")
    said = "\n".join(each.what for each in pair.obstacles("acme"))
    for part in (
        "by_note",
        "public.items (items) has no replica identity",
        "gone does not exist",
        "orders.extra",
    ):
        assert part in said


def test_what_is_allowed_is_no_obstacle(servers: tuple[Server, Server]) -> None:
    """Foreign keys within the group and to reference tables, identities of all kinds, partitions, exclusions."""
    pair = Pair.create(
        servers,
        """
        CREATE EXTENSION btree_gist;
        CREATE TABLE currencies (currency text PRIMARY KEY);
        CREATE TABLE tenants (tenant_id text PRIMARY KEY, currency text REFERENCES currencies);
        CREATE TABLE orders (tenant_id varchar(20) REFERENCES tenants, id int, parent int, at daterange,
            PRIMARY KEY (id, tenant_id), FOREIGN KEY (tenant_id, parent) REFERENCES orders (tenant_id, id),
            EXCLUDE USING gist (tenant_id WITH =, at WITH &&)) ;
        CREATE TABLE logs (tenant_id text NOT NULL, id int NOT NULL, UNIQUE (tenant_id, id));
        ALTER TABLE logs REPLICA IDENTITY USING INDEX logs_tenant_id_id_key;
        CREATE TABLE parts (tenant_id text, id int, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id);
        CREATE TABLE part1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
        """.replace("FOREIGN KEY (tenant_id, parent) REFERENCES orders (tenant_id, id),", ""),
        {"currencies": Reference(), "tenants": TENANT, "orders": TENANT, "logs": TENANT, "parts": TENANT},
    )
    pair.query("left", "INSERT INTO currencies VALUES ('EUR'); INSERT INTO tenants VALUES ('acme', 'EUR')")
    assert pair.obstacles("acme") == []


def test_warnings_do_not_stop_a_move(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(
        servers,
        ORDERS + "CREATE TABLE misc (tenant_id text); CREATE TABLE logs (tenant_id text);"
        "ALTER TABLE logs REPLICA IDENTITY FULL",
        {"orders": TENANT, "logs": TENANT},
    )
    pair.query("left", ORDER)
    pair.query("left", "SELECT lo_create(0)")
    found = pair.obstacles("acme")
    assert all(each.warning for each in found)
    said = "\n".join(each.what for each in found)
    for part in (
        "misc has a column tenant_id",
        "logs (logs) has REPLICA IDENTITY FULL",
        "there are large objects",
    ):
        assert part in said
    pair.move("acme")
    pair.query("left", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


def test_rows_on_the_target_are_an_obstacle(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers)
    for shard in ("left", "right"):
        pair.query(shard, ORDER)
    [obstacle] = pair.obstacles("acme")
    assert "shard right: orders has rows already" in obstacle.what
    assert "'acme'" in obstacle.remedy


def test_a_tenant_without_rows_is_taken_for_a_mistake(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers)
    [obstacle] = pair.obstacles("acmee")
    assert "acmee has no rows" in obstacle.what


def test_prepared_transactions_are_an_obstacle(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers)
    pair.query("left", ORDER)
    with psycopg.connect(servers[0].dsn(dbname=pair.database)) as connection:
        connection.execute("INSERT INTO orders (tenant_id, id) VALUES ('globex', 1)")
        connection.execute("PREPARE TRANSACTION 'forgotten'")
    try:
        wait_until(
            lambda: [
                each for each in pair.obstacles("acme") if "prepared transactions: forgotten" in each.what
            ],
            "the prepared transaction is named",
        )
    finally:
        pair.query("left", "ROLLBACK PREPARED 'forgotten'")


def test_a_role_without_rights_is_told_which_it_lacks(servers: tuple[Server, Server]) -> None:
    for server in servers:
        server.query("CREATE ROLE weak LOGIN PASSWORD 'secret'")
    pair = Pair.create(servers, ORDERS + "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    pair.both(
        "GRANT USAGE ON SCHEMA shardproxy TO weak; GRANT SELECT ON ALL TABLES IN SCHEMA shardproxy, public TO weak;"
        "GRANT EXECUTE ON FUNCTION shardproxy.enter TO weak"
    )
    said = "\n".join(f"{each.what}: {each.remedy}" for each in pair.obstacles("acme", user="weak"))
    for part in (
        "GRANT CREATE ON DATABASE",
        "GRANT SET ON PARAMETER session_replication_role",
        "GRANT pg_signal_backend",
        "GRANT pg_read_all_stats",
        'ALTER ROLE "weak" REPLICATION',
        '"weak" may not create subscriptions',
        "the operator does not own orders (postgres does)",
        "row-level security would hide rows of orders",
    ):
        assert part in said, said


def test_too_many_unfinished_moves_of_a_shard(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers)
    pair.query("left", ORDER)
    pair.query(
        "left",
        "INSERT INTO shardproxy.move (source, target, what, step)"
        " SELECT 'left', 'right', '{\"buckets\": []}', 'planned' FROM generate_series(1, 4)",
    )
    said = [each.what for each in pair.obstacles("acme")]
    assert "shard left takes part in 4 unfinished moves: 1, 2, 3, 4" in said


def test_a_target_whose_server_cannot_log_in_at_the_source(servers: tuple[Server, Server]) -> None:
    """What leads to the source lets the mover through, and no replication."""
    pair = Pair.create(servers)
    pair.query("left", ORDER)

    async def scenario() -> None:
        async with without_replication(servers[0].port) as port:
            installation = pair.installation()
            object.__setattr__(installation.shards["left"].primary.address, "port", port)
            with pytest.raises(Obstructed) as obstructed:
                await rebalance.move(installation, Keys("tenant", ("acme",)), "right", QUICK)
        assert f"shard right: its server cannot subscribe to 127.0.0.1:{port}" in str(obstructed.value.detail)

    run(scenario(), 60)


@asynccontextmanager
async def without_replication(port: int) -> AsyncIterator[int]:
    """The port of a relay to a server, for clients that neither replicate nor ask for encryption first (libpq)."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        if len(first) == 8 or b"replication" in first:
            writer.close()
            return
        there, to = await asyncio.open_connection("127.0.0.1", port)
        to.write(first)
        await asyncio.gather(pump(reader, to), pump(there, writer))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
