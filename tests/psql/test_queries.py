"""What a person asks in psql, beside the same on one server with all rows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shardproxy.version import VERSION
from tests.psql.typing_person import Psql
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

ORDERS = "SELECT order_id, status, total FROM orders WHERE tenant_id = 'hooli' ORDER BY order_id"

SCRIPTS = {
    "a table": f"{ORDERS} LIMIT 3;\n",
    "expanded": f"\\x\n{ORDERS} LIMIT 2;\n\\x\n{ORDERS} LIMIT 2 \\gx\n",
    "formats": f"\\pset format csv\n{ORDERS} LIMIT 2;\n\\pset format unaligned\n\\pset null NULL\nSELECT NULL;\n",
    "no rows and no columns": "SELECT 1 WHERE false;\nSELECT;\n;\n",
    "several in one query": f"SELECT 1 \\; {ORDERS} LIMIT 1 \\; SELECT 2;\n",
    "an open transaction": f"BEGIN;\n{ORDERS} LIMIT 1;\nSAVEPOINT a;\nSELECT nope;\nROLLBACK TO a;\nCOMMIT;\n",
    "warnings of transactions": "COMMIT;\nBEGIN;\nBEGIN;\nROLLBACK;\nROLLBACK;\nSET LOCAL work_mem = '1MB';\n",
    "AND CHAIN": "BEGIN ISOLATION LEVEL SERIALIZABLE;\nCOMMIT AND CHAIN;\nSHOW transaction_isolation;\nROLLBACK;\n",
    "AUTOCOMMIT off": (
        f"\\set AUTOCOMMIT off\n{ORDERS} LIMIT 1;\nSAVEPOINT a;\nSELECT nope;\nROLLBACK TO a;\n{ORDERS} LIMIT 1;\nCOMMIT;\n"
        "ROLLBACK;\n"
    ),
    "ON_ERROR_ROLLBACK": f"\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT nope FROM orders WHERE tenant_id = 'hooli';\n{ORDERS} LIMIT 1;\nCOMMIT;\n",
    "FETCH_COUNT": f"\\set FETCH_COUNT 3\n{ORDERS};\nSELECT nope FROM orders WHERE tenant_id = 'hooli';\n{ORDERS};\n",
    "variables": f"{ORDERS} LIMIT 1 \\gset o_\n\\echo :o_order_id :o_status :ROW_COUNT :SQLSTATE\nSELECT nope;\n\\echo :SQLSTATE\n",
    "\\gexec": "SELECT 'SELECT ' || n FROM generate_series(1, 3) n \\gexec\n",
    "\\gdesc": f"{ORDERS} \\gdesc\nSELECT 1 AS a, $1::uuid \\gdesc\nSELECT nope \\gdesc\n",
    "\\crosstabview": (
        "SELECT status, currency, count(*) FROM orders WHERE tenant_id = 'hooli' GROUP BY 1, 2 ORDER BY 1 \\crosstabview\n"
    ),
    "settings": (
        "SHOW work_mem;\nSET work_mem = '7MB';\nSHOW work_mem;\nRESET work_mem;\nSHOW work_mem;\n"
        "SET my.setting = 'é';\nSHOW my.setting;\n"
    ),
    "quotes": "SELECT 'it''s', $$dollar$$, E'tab\\t', U&'\\00e9', \"a\"\"b\" FROM (SELECT 1 AS \"a\"\"b\") x;\n",
    "types": "SELECT 1.50::numeric, '{1,NULL}'::int[], '{\"a\": 1}'::jsonb, 'NaN'::float8, '1 mon'::interval, true;\n",
    "temporary tables": "CREATE TEMP TABLE t (a int);\nINSERT INTO t VALUES (1), (2);\nTABLE t;\nDROP TABLE t;\nDISCARD ALL;\n",
    "cursors": (
        f"BEGIN;\nDECLARE c CURSOR FOR {ORDERS};\nFETCH 2 FROM c;\nMOVE 1 FROM c;\nFETCH c;\nCLOSE c;\nFETCH c;\nROLLBACK;\n"
    ),
}
EXTENDED = {
    "\\bind": "SELECT count(*), $2::int FROM orders WHERE tenant_id = $1 \\bind hooli 4 \\g\n",
    "\\bind in a block": (
        "BEGIN;\nSELECT count(*) FROM orders WHERE tenant_id = $1 \\bind hooli \\g\n"
        "SELECT nope \\bind \\g\nSELECT 1 \\bind \\g\nROLLBACK;\n"
    ),
    "\\bind of transaction statements": "BEGIN \\bind \\g\nSELECT 1 \\bind \\g\nCOMMIT \\bind \\g\nCOMMIT \\bind \\g\n",
    "\\parse": (
        "SELECT order_id FROM orders WHERE tenant_id = $1 ORDER BY 1 LIMIT $2 \\parse p\n"
        "\\bind_named p hooli 2 \\g\n\\bind_named p stark 1 \\g\n\\close_prepared p\n\\bind_named p hooli 1 \\g\n"
    ),
    "\\watch": "SELECT count(*) FROM orders WHERE tenant_id = 'hooli' \\watch interval=0.01 count=3\n",
    "a pipeline": (
        "\\startpipeline\nSELECT count(*) FROM orders WHERE tenant_id = $1 \\bind hooli \\sendpipeline\n"
        "SELECT $1::int \\bind 5 \\sendpipeline\n\\endpipeline\n"
    ),
    "a pipeline that fails": (
        "\\startpipeline\nSELECT count(*) FROM orders WHERE tenant_id = $1 \\bind hooli \\sendpipeline\n"
        "SELECT nope \\bind \\sendpipeline\nSELECT 1 \\bind \\sendpipeline\n\\syncpipeline\n"
        "SELECT 2 \\bind \\sendpipeline\n\\endpipeline\n"
    ),
}
TIMES = ("(every", "Time:")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_the_answer_is_the_same(alike: Callable[..., str], newest: Psql, script: str) -> None:
    assert alike(newest, script)


def test_the_answers_are_the_same_in_every_psql(alike: Callable[..., str], program: Psql) -> None:
    assert alike(program, "".join(SCRIPTS.values()))


@pytest.mark.parametrize("script", EXTENDED.values(), ids=EXTENDED.keys())
def test_the_answer_of_the_extended_protocol_is_the_same(
    proxy: Proxy, cluster: Cluster, newest: Psql, script: str
) -> None:
    told, direct = (
        [line for line in newest.run(dsn, script).splitlines() if not any(each in line for each in TIMES)]
        for dsn in (proxy.dsn(), cluster.oracle_dsn())
    )
    assert told == direct
    assert told


def test_one_c_with_several_statements_is_one_transaction(
    written: Cluster, proxy: Proxy, newest: Psql
) -> None:
    insert = "INSERT INTO coupons VALUES ('hooli', 'together', 1)"
    done = newest.start(proxy.dsn(), "-c", f"{insert}; SELECT 'between'; SELECT 1/0; SELECT 'never'")
    assert done.returncode == 1
    assert "between" in done.stdout
    assert "division by zero" in done.stdout
    assert "never" not in done.stdout
    done = newest.start(
        proxy.dsn(),
        "-At",
        "-c",
        "SELECT count(*) FROM coupons WHERE tenant_id = 'hooli' AND code = 'together'",
    )
    assert done.stdout == "0\n"


@pytest.mark.parametrize(("end", "status", "kept"), [("SELECT 1", 0, "1"), ("SELECT nope", 3, "0")])
def test_a_file_in_one_transaction(
    written: Cluster, proxy: Proxy, newest: Psql, tmp_path: Path, end: str, status: int, kept: str
) -> None:
    file = tmp_path / "script.sql"
    file.write_text(f"INSERT INTO coupons VALUES ('hooli', 'filed', 1);\n{end};\n")
    done = newest.start(proxy.dsn(), "-1", "-v", "ON_ERROR_STOP=1", "-f", str(file))
    assert done.returncode == status
    query = "SELECT count(*) FROM coupons WHERE tenant_id = 'hooli' AND code = 'filed'"
    assert newest.start(proxy.dsn(), "-At", "-c", query).stdout.strip() == kept


def test_notices_are_shown(alike: Callable[..., str], newest: Psql) -> None:
    script = 'CREATE TEMP TABLE "é" (a int);\nCREATE TEMP TABLE IF NOT EXISTS "é" (a int);\n'
    assert 'NOTICE:  relation "é" already exists, skipping' in alike(newest, script)


@pytest.mark.parametrize(
    ("script", "hint"),
    [
        (
            "SELECT now() IS NULL",
            "HINT:  Begin it with a statement that names the tenant, or SET shardproxy.tenant before it",
        ),
        ("SELECT count(*) FROM orders WHERE tenant_id = 'stark'", "HINT:  Commit first"),
    ],
)
def test_a_transaction_that_cannot_go_on_says_how_to_begin_it(
    proxy: Proxy, newest: Psql, script: str, hint: str
) -> None:
    select = "SELECT 'here' FROM orders WHERE tenant_id = 'hooli' LIMIT 1;\n"
    told = newest.run(proxy.dsn(), f"BEGIN;\n{script};\n{select}ROLLBACK;\n", "-qAt")
    assert hint in told
    for begin in (
        "BEGIN;\nSELECT 1;\n",
        "SET shardproxy.tenant = 'hooli';\nBEGIN;\nSELECT 1 < txid_current();\n",
    ):
        told = newest.run(proxy.dsn(), f"{begin}{select}ROLLBACK;\n", "-qAt")
        assert told in ("1\nhere\n", "t\nhere\n")


def test_a_tenant_is_set_shown_and_forgotten(proxy: Proxy, newest: Psql) -> None:
    count = "SELECT count(*) > 0 FROM orders"
    script = (
        f"SHOW shardproxy.tenant;\nSET shardproxy.tenant = 'hooli';\nSHOW shardproxy.tenant;\n{count};\n"
        f"BEGIN;\nSET LOCAL shardproxy.tenant = 'stark';\nSHOW shardproxy.tenant;\n{count};\nCOMMIT;\nSHOW shardproxy.tenant;\n"
        f"SELECT * FROM orders WHERE tenant_id = 'stark';\nRESET shardproxy.tenant;\nSHOW shardproxy.tenant;\n"
    )
    told = newest.run(proxy.dsn(), script, "-qAt")
    assert told.splitlines() == [
        "",
        "hooli",
        "t",
        "stark",
        "t",
        "hooli",
        'ERROR:  shardproxy does not run this statement: it names the tenant "stark", and the session\'s tenant is "hooli"',
        "HINT:  SET or RESET shardproxy.tenant to work with another tenant.",
        "",
    ]


def test_an_explained_statement_is_not_run(proxy: Proxy, newest: Psql) -> None:
    script = (
        "/* shardproxy.explain */ DELETE FROM order_items WHERE tenant_id = 'hooli';\n"
        "/* shardproxy.explain */ DELETE FROM orders;\n"
        "/* shardproxy.explain */ BEGIN;\n"
        "/* shardproxy.explain */ SELECT 1 \\; DELETE FROM order_items WHERE tenant_id = 'hooli';\n"
        "/* shardproxy.explain */ DELETE FROM order_items WHERE tenant_id = $1 \\bind hooli \\g\n"
        "/* shardproxy.explain */ BEGIN \\bind \\g\n"
        "ROLLBACK;\nSELECT count(*) > 0 FROM order_items WHERE tenant_id = 'hooli';\n"
    )
    told = newest.run(proxy.dsn(), script, "-At", "-F", " / ").splitlines()
    delete = "shard-b / primary / the shard that owns its key / tenant=hooli (placed)"
    begin = " / session / it speaks of the session or its transaction, not of rows / "
    assert told == [
        delete,
        " /  / shardproxy does not run this statement: DELETE over several shards / ",
        begin,
        "shard-a / primary / every shard gives the same answer / ",
        delete,
        delete,
        begin,
        "WARNING:  there is no transaction in progress",
        "ROLLBACK",
        "t",
    ]


def test_a_session_tells_about_itself(proxy: Proxy, newest: Psql) -> None:
    shown = [f"SHOW shardproxy.{name};" for name in ("tenant", "read", "shards", "version", "pinned")]
    script = [*shown, "LISTEN a;", "SHOW shardproxy.pinned;", "DISCARD ALL;", "SHOW shardproxy.pinned;"]
    told = newest.run(proxy.dsn(), "\n".join(script), "-A", "-t")
    bound = ["LISTEN", "LISTEN", "DISCARD ALL", ""]
    assert told.split("\n")[:-1] == ["", "primary", "shard-a, shard-b, shard-c", VERSION, "", *bound]
