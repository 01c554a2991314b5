"""Every mistake at once, at its line and column, as what to do."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from shardproxy.config import document
from shardproxy.config.load import MAX_BYTES, load, read
from shardproxy.errors import ConfigError
from tests.config.conftest import FILE, GOOD, Reader

Mistakes = Callable[..., list[str]]


def test_a_good_file_has_no_mistakes(read_yaml: Reader) -> None:
    loaded = read_yaml(GOOD)
    assert loaded.mistakes == ()
    assert loaded.config is not None
    assert [shard.name for shard in loaded.config.shards] == ["a", "b"]


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("pool: {sise: 5}", "7:8: pool.sise: is not an option; did you mean 'size'?"),
        ("pol: {size: 5}", "7:1: pol: is not an option; did you mean 'pool'?"),
        ("zzz: 1", "7:1: zzz: is not an option; the options at the top of the file are: database,"),
        ("ring:\n  zzz: 1", "8:3: ring.zzz: is not an option; the options in ring are: virtual_nodes"),
        ("pool: {size: many}", "7:14: pool.size: must be a whole number"),
        ("pool: {size: }", "7:14: pool.size: must be a whole number (it is empty)"),
        ("pool: {size: 0}", "7:14: pool.size: must be at least 1"),
        ("pool: {size: 10001}", "7:14: pool.size: must be at most 10000"),
        ("pool: 5", "7:7: pool: must be a mapping of options (key: value)"),
        ("pool:\n  - size", "8:3: pool: must be a mapping of options (key: value)"),
        ("listen: {port: 1}", "7:9: listen: must be a list; begin each item with '- '"),
        ("placements: [a]", "7:13: placements: must be a mapping (key: value)"),
        ("listen: []", "7:9: listen: needs at least 1 item(s)"),
        (
            "log: {level: inof}",
            "7:14: log.level: must be 'debug', 'info', 'warning' or 'error'; did you mean 'info'?",
        ),
        ("log: {level: }", "7:14: log.level: must be 'debug', 'info', 'warning' or 'error'"),
        ("reads: {default: anywhere}", "7:18: reads.default: must be 'primary', 'replica' or 'causal'"),
        ("pool: {wait_timeout: 30 parsecs}", "7:22: pool.wait_timeout: '30 parsecs' is not understood"),
        ("pool: {wait_timeout: 2d}", "7:22: pool.wait_timeout: '2d' is out of range: give 1ms to 1h"),
        (
            "limits: {max_message_size: 1kB}",
            "7:28: limits.max_message_size: '1kB' is out of range: give 64kB to 1GB",
        ),
        ("designated: [a]", "7:13: designated: must have a text value"),
        ("designated: c", "7:13: designated: there is no shard 'c' (shards: a, b)"),
        ("catalog: {shard: c}", "7:18: catalog.shard: there is no shard 'c' (shards: a, b)"),
        ("placements: {acme: shard-b}", "7:20: placements.acme: there is no shard 'shard-b' (shards: a, b)"),
        ("placements: {acme: }", "7:20: placements.acme: must have a text value (it is empty)"),
        (
            "groups: {t: {type: text, placements: {x: q}}}",
            "7:42: groups.t.placements.x: there is no shard 'q'",
        ),
        ("groups: {t: int8}\nplacements: {12: a, 1x: a}", "8:21: placements.1x: the key is not of type int8"),
        ("groups: {t: int2}\nplacements: {40000: a}", "8:14: placements.40000: the key is not of type int2"),
        ("groups: {t: uuid}\nplacements: {acme: a}", "8:14: placements.acme: the key is not of type uuid"),
        (
            "groups: {t: int8}\nplacements: {7: a, 007: b}",
            "8:20: placements.007: the same key is placed twice",
        ),
        (
            "groups: {t: {type: text, placements: {x: a}}}\nplacements: {x: b}",
            "groups.t.placements.x: the same key",
        ),
        ("placements: {x: a, x: b}", "7:20: placements.x: is given twice, first on line 7; keep one"),
        (
            "groups: {t: money}",
            "7:13: groups.t.type: must be 'text', 'varchar', 'uuid', 'int2', 'int4' or 'int8'",
        ),
        ("groups: {}", "7:9: groups: "),
        ("groups: {a: text}\ntenant_group: b", "8:15: tenant_group: there is no group 'b' (groups: a)"),
        ("tables: {t: {key: id, group: g}}", "7:30: tables.t.group: there is no group 'g' (groups: tenant)"),
        ("tables: {t: {local: z}}", "7:21: tables.t.local: there is no shard 'z' (shards: a, b)"),
        ("tables: {t: refrence}", "7:13: tables.t: 'refrence' is not understood: write reference,"),
        ("tables: {t: {}}", "7:13: tables.t: say how the table is spread, in one way"),
        ("tables: {t: {key: id, local: a}}", "7:13: tables.t: say how the table is spread, in one way"),
        (
            "tables: {t: {local: a, group: tenant}}",
            "7:13: tables.t: group belongs to tables with a key; remove it",
        ),
        ("tables: {t: {key: a-b}}", "7:19: tables.t.key: is not a name as in SQL"),
        (
            "trusted_functions: [f, f(int)]",
            "7:24: trusted_functions[1]: is not a function name as in SQL (function or schema.function); "
            "put special characters in double quotes, without arguments",
        ),
        (
            "trusted_functions: [a.f, f, 'A.F']",
            "7:29: trusted_functions[2]: is the same function as 'a.f'; keep one",
        ),
        ("tables: {a.b.c: reference}", "7:10: tables.'a.b.c': is not a table name as in SQL"),
        (
            "tables: {t: reference, Public.T: reference}",
            "7:24: tables.'Public.T': is the same table as 't'; keep one",
        ),
        (
            "tables: {pg_catalog.pg_class: reference}",
            "tables.'pg_catalog.pg_class': system catalogs are answered",
        ),
        (
            "tables: {shardproxy.map: reference}",
            "7:10: tables.'shardproxy.map': the schema shardproxy is the proxy's own; remove the table",
        ),
        (
            "tables:\n  t: reference\n  t: reference",
            "9:3: tables.t: is given twice, first on line 8; keep one",
        ),
        ("listen: [{host: h, unix: /tmp}]", "7:10: listen[0]: give either host or unix"),
        ("listen: [{port: 5}]", "7:10: listen[0]: give either host or unix"),
        ("listen: [{unix: run}]", "7:10: listen[0]: unix must be an absolute directory, beginning with /"),
        (f"listen: [/{'x' * 100}]", "listen[0]: unix is too long"),
        ("listen: [{unix: /tmp, port: 0}]", "7:10: listen[0]: a Unix socket needs a port other than 0"),
        ("listen: [{unix: /tmp, unix_mode: 0999}]", "7:34: listen[0].unix_mode: give permissions in octal"),
        ("listen: [h:70000]", "7:10: listen[0].port: must be at most 65535"),
        (
            "listen: [localhost, LOCALHOST:6432]",
            "7:21: listen[1]: localhost:6432 is also the address of another",
        ),
        ("listen: [127.0.0.1:9187]", "http: 127.0.0.1:9187 is also the address of another listener"),
        (
            'http: {host: ""}',
            "7:14: http.host: must be a host name or an IP address, without a port or a scheme",
        ),
        ("http: {host: 'http://a'}", "7:14: http.host: must be a host name or an IP address"),
        (
            "groups: {tenant: txt, device: int8}\nplacements: {acme: a}",
            "7:18: groups.tenant.type: must be 'text', 'varchar', 'uuid', 'int2', 'int4' or 'int8'",
        ),
        ("http: on", "7:7: http: must be a mapping of options (key: value)"),
        ("tenant_isolation: on", "7:19: tenant_isolation: must be 'enforce' or 'off'"),
    ],
)
def test_a_mistake_is_said_at_its_place(mistakes: Mistakes, added: str, expected: str) -> None:
    found = mistakes(GOOD + added + "\n")
    assert len(found) == 1, found
    assert expected in found[0]


@pytest.mark.parametrize(
    ("replaced", "by", "expected"),
    [
        ("database: app\n", "", "1:1: database: is missing; add it: Database that applications connect to"),
        ("database: app", "database:", "1:10: database: must have a text value (it is empty)"),
        (
            "{user: app}",
            "{}",
            "3:9: server.user: is missing; add the role the proxy logs in as (shard 'a' names none)",
        ),
        ("{name: a, ", "{", "5:5: shards[0].name: is missing; add it: Letters, digits"),
        (
            ', primary: "10.0.0.1"',
            "",
            "5:5: shards[0].primary: is missing; add it: Address of the shard's primary",
        ),
        ("name: b", "name: a", "6:12: shards[1].name: two shards are named 'a'; give each its own name"),
        ("name: b", "name: b c", "6:12: shards[1].name: has characters that are not allowed"),
        (
            "10.0.0.2",
            "10.0.0.1:5432",
            "shards[1].primary: 10.0.0.1:5432 is also the address of the primary of shard",
        ),
        (
            '"10.0.0.2"',
            '"10.0.0.2", replicas: [10.0.0.1]',
            "6:47: shards[1].replicas[0]: 10.0.0.1:5432 is also the",
        ),
        ('"10.0.0.2"', "{port: 5}", "6:24: shards[1].primary: give either host or unix"),
        ('"10.0.0.2"', '""', "6:24: shards[1].primary: is not an address; write host:port"),
        (
            '"10.0.0.2"',
            "h, password: x, password_env: Y",
            "6:5: shards[1]: give only one of password, password_env",
        ),
        ('"10.0.0.2"', "h, weight: -1", "6:35: shards[1].weight: must be at least 0"),
        ("method: trust", "method: md5", "2:16: auth.method: must be 'scram' or 'trust'"),
        ("method: trust", "method: scram", "2:7: auth.users: nobody can log in; list users with passwords"),
        (
            "method: trust",
            "users: [{name: u}]",
            "2:16: auth.users[0]: user 'u' has no password; add password",
        ),
        (
            "method: trust",
            "users: [{name: u, password: x}, {name: u, password: y}]",
            "2:47: auth.users[1].name: user 'u' is listed twice; keep one",
        ),
        (
            "method: trust",
            "users: [{name: u, password: 'SCRAM-SHA-256$4096:AAAA$BBBB'}]",
            "2:36: auth.users[0].password: begins like a SCRAM-SHA-256 verifier but is not one",
        ),
        (
            "{user: app}",
            "{user: app, password: 'SCRAM-SHA-256$1:A'}",
            "server.password: is a SCRAM verifier, which",
        ),
        ("{user: app}", "{user: app, password_env: PW}", "the environment variable PW is not set; set it to"),
        (
            "{user: app}",
            "{user: app, password_file: none}",
            "server.password_file: cannot read none (No such file",
        ),
    ],
)
def test_a_mistake_in_what_must_be_there(mistakes: Mistakes, replaced: str, by: str, expected: str) -> None:
    assert replaced in GOOD
    found = mistakes(GOOD.replace(replaced, by))
    assert len(found) == 1, found
    assert expected in found[0]


def test_an_empty_file_lacks_what_is_required_and_nothing_else(mistakes: Mistakes) -> None:
    found = mistakes("auth: {method: trust}\n")
    assert found == [
        "1:1: database: is missing; add it: Database that applications connect to; server.database defaults to it",
        "1:1: shards: is missing; add it: The PostgreSQL servers that hold the data",
        "1:1: server.user: is missing; add the role the proxy logs in as",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: database: is missing; add it"),
        ("- a\n", "1:1: the file must be a mapping of options"),
        ("hello", "1:1: the file must be a mapping of options"),
        ("database: app\n  x: y\n", "2:4: YAML syntax: mapping values are not allowed"),
        ("database: [a\n", "YAML syntax: "),
        ("database: 'a\n", "YAML syntax: "),
        ("database: a\n\tx: 1\n", "2:1: YAML syntax: "),
        ("database: a\n---\ndatabase: b\n", "2:1: a second document begins here"),
        ("database: !!str a\n", "1:11: database: tags (!...) are not used here"),
        ("database: *a\n", "1:11: database: an alias (*) without an anchor (&) before it"),
        ("x: &a {<<: *a}\n", "1:8: x: merge keys (<<) are not supported"),
        ("? [a]\n: b\n", "1:3: a key must be text"),
        ("a: &x b\n*x : c\n", "2:1: a key cannot be an alias"),
        ("[" * 100, "nested more than 32 levels deep"),
        ("database: a\x01\n", "1:12: "),
        (b"database: \xff\n", "1:11: is not UTF-8 here; save the file as UTF-8"),
        (b"#" * (MAX_BYTES + 1), "1:1: is larger than 4 MiB"),
    ],
)
def test_what_is_no_usable_yaml(mistakes: Mistakes, text: str | bytes, expected: str) -> None:
    found = mistakes(text)
    assert any(expected in line for line in found), found


def test_all_mistakes_come_at_once_in_the_order_of_the_file(mistakes: Mistakes) -> None:
    found = mistakes(
        """\
database: app
auth: {method: trst}
shards:
  - name: a
    primary: host:port:port
    wieght: 2
  - name: b
    primary: 127.0.0.1:5
    weight: many
  - name: b
    primary: 127.0.0.1:5
designated: x
placements: {NO: a, b: e, NO: b}
groups: {dev: bigint, tenant: int33}
tables:
  orders: {key: tenant_id, group: tenant}
  readings: {key: id, group: deev}
pool: {size: 0, wait_timeout: 5y}
"""
    )
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in found] == [
        "1:1 server.user",
        "2:16 auth.method",
        "5:14 shards[0].primary",
        "6:5 shards[0].wieght",
        "9:13 shards[1].weight",
        "10:11 shards[2].name",
        "11:14 shards[2].primary",
        "12:13 designated",
        "13:24 placements.b",
        "13:27 placements.NO",
        "14:31 groups.tenant.type",
        "17:30 tables.readings.group",
        "18:14 pool.size",
        "18:31 pool.wait_timeout",
    ]


def test_what_follows_from_a_mistake_is_not_another_one(mistakes: Mistakes) -> None:
    """A shard without a usable address is still a shard, for those who name it."""
    assert mistakes(
        GOOD.replace('"10.0.0.1"', "x:y") + "designated: a\nplacements: {t: a}\ntables: {audit: {local: a}}\n"
    ) == [
        "5:24: shards[0].primary: is not an address; write host:port, [IPv6]:port or /socket/directory:port"
    ]


def test_positions_after_an_unusable_item_are_those_of_the_file(mistakes: Mistakes) -> None:
    """Items are taken out of lists one by one; the later ones keep their place."""
    found = mistakes(
        GOOD
        + """\
listen:
  - x:y
  - 127.0.0.1
  - x:z
  - 127.0.0.1
"""
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["8:5", "listen[0]"],
        ["10:5", "listen[2]"],
        ["11:5", "listen[3]"],
    ]


def test_keys_stay_the_text_that_was_written(read_yaml: Reader) -> None:
    config = read_yaml(
        GOOD + "placements: {NO: a, on: b, 007: a, 1_000: b, null: a, ~: b, 1.0: a, 0x1F: b, 'q r': a}\n"
    ).config
    assert config is not None
    assert list(config.placements) == ["NO", "on", "007", "1_000", "null", "~", "1.0", "0x1F", "q r"]


def test_words_that_old_yaml_reads_as_booleans_mean_what_they_say(read_yaml: Reader) -> None:
    config = read_yaml(
        GOOD.replace("method: trust", "method: scram, users: [{name: on, password: off}]")
        + "http: off\ntenant_isolation: off\npool: {idle_timeout: off}\nreads: {max_lag: off}\n"
    ).config
    assert config is not None
    assert config.http is None
    assert config.tenant_isolation == "off"
    assert config.pool.idle_timeout is None
    assert config.reads.max_lag is None
    user = config.auth.users[0]
    assert user.name == "on"
    assert user.password is not None
    assert user.password.reveal() == "off"


def test_sections_whose_lines_are_all_comments_have_their_defaults(read_yaml: Reader) -> None:
    loaded = read_yaml(GOOD + "http:\npool:\n  #size: 5\nlisten:\ngroups:\nplacements:\ntables:\n")
    assert loaded.mistakes == ()
    assert loaded.config == read_yaml(GOOD).config


def test_aliases_are_expanded(read_yaml: Reader) -> None:
    config = read_yaml(
        GOOD + "tables:\n  orders: &by_tenant {key: tenant_id}\n  customers: *by_tenant\n"
    ).config
    assert config is not None
    assert config.tables["customers"].key == "tenant_id"


@pytest.mark.timeout(20)
def test_a_bomb_of_aliases_is_refused(mistakes: Mistakes) -> None:
    levels = "\n".join(f"x{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]" for i in range(12))
    found = mistakes(f"x0: &a0 lol\n{levels}\n")
    assert any("more than 500000 values; is an alias (*) expanded too often?" in line for line in found)


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "line",
    [
        f"server: {{user: app, password: [{SECRET}]}}",
        f"server: {{user: app, password: {SECRET}, password_env: X}}",
        f"server: {{user: app, password: {SECRET}, password_file: {SECRET}}}",
        f"server: {{user: app, pasword: {SECRET}}}",
        f"server: {{user: app, password: *{SECRET}}}",
        f"server: {{user: app, password: &{SECRET}}}",
        f"server: {{user: app, password: !{SECRET} x}}",
        f"server: {{user: app, password: !{SECRET}!{SECRET} x}}",
        f"server: {{user: app, password: %{SECRET}}}",
        f"server: {{user: app, password: @{SECRET}}}",
        f'server: {{user: app, password: "\\q{SECRET}"}}',
        f"server: {{user: app, password: '{SECRET}' {SECRET}}}",
        f"server: {{user: app, password: {SECRET}: {SECRET}}}",
        f"server: postgres://app:{SECRET}@host",
        f"shards: [{{name: a, primary: 'postgres://app:{SECRET}@host/db'}}]",
        f"shards: [{{name: a, primary: {{host: 'app:{SECRET}@host/db'}}}}]",
        f"server: {{user: app, password: 'SCRAM-SHA-256${SECRET}'}}",
        f"auth: {{users: [{{name: u, password: 'SCRAM-SHA-256${SECRET}'}}]}}",
        f"auth: {{users: {SECRET}}}",
        f"auth: {{users: {{u: {SECRET}}}}}",
    ],
)
@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])  # their messages differ
def test_no_message_shows_a_password(
    read_yaml: Reader, monkeypatch: pytest.MonkeyPatch, line: str, loader: str
) -> None:
    monkeypatch.setattr(document, "_LOADER", getattr(yaml, loader, yaml.SafeLoader))
    loaded = read_yaml(f"database: app\n{line}\n")
    assert loaded.mistakes
    shown = "\n".join(map(str, loaded.mistakes)) + repr(loaded)
    assert SECRET not in shown


def test_load_raises_all_mistakes_in_one_error(read_yaml: Reader) -> None:
    read_yaml("pool: {size: 0}\n")
    with pytest.raises(ConfigError) as raised:
        load(FILE, {})
    lines = raised.value.message.splitlines()
    assert len(lines) >= 3
    assert all(line.startswith(f"{FILE}:1:") for line in lines)


def test_load_logs_warnings(read_yaml: Reader, caplog: pytest.LogCaptureFixture) -> None:
    read_yaml(GOOD + "listen: [0.0.0.0]\n")
    with caplog.at_level(logging.WARNING):
        load(FILE, {})
    assert (
        "shardproxy.yaml:7:10: listen[0]: other machines can connect here without a password" in caplog.text
    )


@pytest.mark.parametrize("listener", ["127.0.0.1", "localhost", "'[::1]'", "/tmp"])
def test_trust_on_this_machine_is_no_warning(read_yaml: Reader, listener: str) -> None:
    assert read_yaml(GOOD + f"listen: [{listener}]\n").warnings == ()


def test_a_file_with_a_password_that_everyone_can_read_is_a_warning(read_yaml: Reader) -> None:
    text = GOOD.replace("{user: app}", "{user: app, password: x}")
    assert "holds a password and everyone can read it" in str(read_yaml(text).warnings[0])
    os.chmod(FILE, 0o640)
    assert read(FILE, {}).warnings == ()


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    (mistake,) = read(tmp_path / "none.yaml", {}).mistakes
    assert str(mistake).endswith(
        "none.yaml:1:1: cannot be read (No such file or directory); give a readable file with -c"
    )


def test_a_byte_order_mark_does_not_matter(read_yaml: Reader) -> None:
    assert read_yaml(b"\xef\xbb\xbf" + GOOD.encode()).mistakes == ()
