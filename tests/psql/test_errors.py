"""Errors in psql: the caret is where the mistake is, whatever the proxy sent along with the statement."""

import re
from collections.abc import Callable

import pytest

from tests.psql.typing_person import Psql
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

SCRIPTS = {
    "a word": "SELECT * FRO orders;",
    "a column": "SELECT nope FROM orders WHERE tenant_id = 'hooli';",
    "the second line": "SELECT order_id,\n  nope\nFROM orders WHERE tenant_id = 'hooli';",
    "the end": "SELECT (1;\n",
    "after letters of several bytes": "SELECT 'héé€😀', nope FROM orders WHERE tenant_id = 'hooli';",
    "a syntax error after letters of several bytes": "SELECT 'héé€😀' AS \"ünïcode\" FRO orders;",
    "after a comment": "/* é */ -- €\nSELECT /* 😀 */ nope FROM orders WHERE tenant_id = 'hooli';",
    "in a block begun here": "BEGIN;\nSELECT nope FROM orders WHERE tenant_id = 'hooli';\nROLLBACK;",
    "in a block with characteristics": (
        "BEGIN ISOLATION LEVEL SERIALIZABLE;\nSAVEPOINT a;\nSET LOCAL work_mem = '5MB';\n"
        "SELECT 'é', nope FROM orders WHERE tenant_id = 'hooli';\nROLLBACK;"
    ),
    "later in a block": "BEGIN;\nSELECT 1;\nSELECT nope;\nSELECT 2;\nCOMMIT;",
    "a syntax error in a block": "BEGIN;\nSELECT * FRO orders;\nSELECT 1;\nCOMMIT;",
    "the second statement of one query": r"SELECT 1 \; SELECT nope FROM orders WHERE tenant_id = 'hooli';",
    "the second statement after letters": r"SELECT 'é€😀' \; SELECT 'ü', nope FROM orders WHERE tenant_id = 'hooli';",
    "a syntax error in the second statement": r"SELECT 1 \; SELECT 'é' FRO orders;",
    "a block in one query": (
        "BEGIN \\; SELECT 'é' \\; SELECT nope FROM orders WHERE tenant_id = 'hooli' \\; COMMIT;\nROLLBACK;"
    ),
    "after a setting": "SET work_mem = '5MB';\nSELECT 'é', nope FROM orders WHERE tenant_id = 'hooli';\nRESET work_mem;",
    "a relation": "SELECT * FROM nothing WHERE tenant_id = 'hooli';",
    "a value": "SELECT 'x'::int;\nSELECT * FROM readings WHERE device_id = 1 AND value = 'é';",
    "an unfinished string": "SELECT 'unfinished\n;\n",
    "while it runs": "SELECT 1 / (total - total) FROM orders WHERE tenant_id = 'hooli';",
    "a constraint": "INSERT INTO coupons VALUES ('hooli', 'WELCOME1', 1);",
    "a setting": "SET no_such_setting = 1;\nSET work_mem = 'much';\nSHOW no_such_setting;",
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_an_error_is_shown_as_the_server_shows_it(
    alike: Callable[..., str], newest: Psql, script: str
) -> None:
    assert "ERROR:" in alike(newest, script)


@pytest.mark.parametrize(
    "statement",
    ["SELECT $1::int, nope FROM orders WHERE tenant_id = $2", "SELECT * FRO orders WHERE $1 = $2"],
)
@pytest.mark.parametrize(
    "block", ["{}", "BEGIN;\n{}SELECT 1;\nROLLBACK;\n", "BEGIN;\nSAVEPOINT a;\n{}ROLLBACK;\n"]
)
def test_an_error_of_the_extended_protocol_too(
    alike: Callable[..., str], newest: Psql, statement: str, block: str
) -> None:
    told = alike(newest, block.format(f"{statement} \\bind 1 hooli \\g\n"))
    assert "LINE 1:" in told


def test_errverbose_shows_all_fields(alike: Callable[..., str], program: Psql) -> None:
    told = alike(program, "INSERT INTO coupons VALUES ('hooli', 'WELCOME1', 1);\n\\errverbose\n")
    assert "23505" in told
    assert "TABLE NAME:  coupons" in told


def test_a_debian_psql_sees_carets_where_they_belong(alike: Callable[..., str], program: Psql) -> None:
    assert alike(
        program, "\n".join([SCRIPTS["in a block begun here"], SCRIPTS["the second statement after letters"]])
    )


def test_what_is_rewritten_for_a_tenant_is_not_pointed_into(
    cluster: Cluster, proxy: Proxy, newest: Psql
) -> None:
    script = "SELECT 'é', nope FROM orders WHERE true;\n"
    told = newest.run(proxy.dsn(), f"SET shardproxy.tenant = 'hooli';\n{script}", "-q")
    assert told.startswith('ERROR:  column "nope" does not exist')
    error, _, _, hint = newest.run(cluster.oracle_dsn(), script).splitlines()
    assert told.splitlines() == [error, hint]


@pytest.mark.parametrize(
    ("statement", "construct", "hint"),
    [
        ("SELECT count(*) FROM orders", "count", "shardproxy.tenant"),
        ("UPDATE orders SET note = ''", "UPDATE", "tenant_id"),
        ("DELETE FROM currencies", "currencies", "every shard"),
        ("PREPARE p AS SELECT * FROM orders WHERE tenant_id = $1", "PREPARE", "Bind"),
        ("INSERT INTO orders DEFAULT VALUES", "sharding key", "value"),
        ("SELECT current_setting('shardproxy.tenant')", "current_setting", "SHOW shardproxy.tenant"),
    ],
)
def test_a_refusal_says_what_and_what_to_do(
    proxy: Proxy, newest: Psql, statement: str, construct: str, hint: str
) -> None:
    told = newest.run(proxy.dsn(), f"{statement};\nSELECT 'still here';\n", "-qAt")
    error, advice, rest = told.splitlines()
    assert re.match(rf"ERROR:  shardproxy does not run this statement: .*{construct}", error)
    assert re.match(rf"HINT:  .*{hint}", advice)
    assert rest == "still here"
