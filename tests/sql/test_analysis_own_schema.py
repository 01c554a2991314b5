"""The proxy's own schema is nobody else's: what names something in it is refused, by name."""

import pytest

from tests.sql.verdicts import verdict

TABLE = "refused: the table shardproxy.{}, which is the proxy's own"
FUNCTION = "refused: the function shardproxy.{}, which is the proxy's own"


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT * FROM shardproxy.map", "map"),
        ("TABLE shardproxy.anything", "anything"),
        ("SELECT 1 WHERE EXISTS (SELECT FROM shardproxy.shard)", "shard"),
        ("UPDATE shardproxy.shard SET oldest_epoch = 0", "shard"),
        ("DELETE FROM orders USING shardproxy.moving WHERE tenant_id = 'a'", "moving"),
        ("INSERT INTO orders SELECT 'a', 1 FROM shardproxy.map", "map"),
        ("COPY shardproxy.map TO STDOUT", "map"),
        ("LOCK TABLE shardproxy.map", "map"),
        ("DROP TABLE shardproxy.map", "map"),
        ("TRUNCATE shardproxy.moving", "moving"),
    ],
)
def test_tables(sql: str, name: str) -> None:
    assert verdict(sql) == TABLE.format(name)


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT shardproxy.enter(0, NULL)", "enter"),
        ("SELECT * FROM orders WHERE tenant_id = 'a' AND shardproxy.enter(0, 1) IS NULL", "enter"),
        ("CALL shardproxy.guard(1)", "guard"),
        ("SELECT shop.shardproxy.i_am()", "i_am"),
        ("SELECT shardproxy.anything(1)", "anything"),
    ],
)
def test_functions(sql: str, name: str) -> None:
    assert verdict(sql) == FUNCTION.format(name)


def test_a_search_path_does_not_hide_it() -> None:
    path = ("shardproxy", "public")
    assert verdict("SELECT * FROM map", search_path=path) == TABLE.format("map")
    assert verdict("SELECT enter(0, NULL)", search_path=path) == FUNCTION.format("enter")
    assert verdict("SELECT * FROM orders WHERE tenant_id = 'a'", search_path=path) == "keyed a"
    assert verdict("SELECT enter(0, NULL)", search_path=("public",)) == "anywhere"


def test_strings_and_columns_may_be_called_so() -> None:
    assert verdict(
        "SELECT 'shardproxy.map', shardproxy.tenant_id FROM orders shardproxy WHERE tenant_id = 'a'"
    ) == ("keyed a")
