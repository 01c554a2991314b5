"""What a plan tells of itself: whether it passes by what is for others, and the one key that routes it."""

from dataclasses import replace

import pytest

from shardproxy.errors import ShardproxyError
from shardproxy.sql.statement import (
    Constant,
    KeySet,
    Kind,
    Literal,
    Parameter,
    Reach,
    SettingChange,
    Statement,
)
from shardproxy.topology.keys import KeyFamily

QUERY = Statement(Kind.QUERY, "SELECT", Reach.KEYED)
CHANGE = SettingChange("work_mem", "64kB", local=False, sql="SET work_mem = '64kB'")


def keyed(*sources: Constant | Literal | Parameter, max_length: int | None = None) -> KeySet:
    return KeySet("tenant", KeyFamily.INTEGER, sources, max_length=max_length)


def test_a_query_is_plain_as_it_stands() -> None:
    assert QUERY.plain


@pytest.mark.parametrize(
    "concern",
    [
        {"kind": Kind.COPY_IN},
        {"kind": Kind.EMPTY},
        {"setting": CHANGE},
        {"set_config": (CHANGE,)},
        {"pins": "LISTEN"},
        {"unless_temporary": ShardproxyError("no such table")},
        {"creates": "t"},
        {"reveals": "pg_stats"},
        {"private": True},
        {"unlocks": True},
        {"notifies": True},
        {"changes_schema": True},
    ],
    ids=lambda concern: next(iter(concern)),
)
def test_what_concerns_the_session_is_not_plain(concern: dict[str, object]) -> None:
    assert not replace(QUERY, **concern).plain  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [Constant(7), Literal(0), Parameter(1)])
def test_one_key_routes_a_statement(source: Constant | Literal | Parameter) -> None:
    key_set = keyed(source)
    assert replace(QUERY, key_sets=(key_set,)).single is key_set


@pytest.mark.parametrize(
    "statement",
    [
        QUERY,
        replace(QUERY, reach=Reach.UNBOUND, key_sets=(keyed(Literal(0)),)),
        replace(QUERY, key_sets=(keyed(),)),
        replace(QUERY, key_sets=(keyed(Literal(0), Literal(1)),)),
        replace(QUERY, key_sets=(keyed(Literal(0)), keyed(Literal(1)))),
        replace(QUERY, key_sets=(keyed(Literal(0), max_length=5),)),
        replace(QUERY, key_sets=(keyed(Parameter(1, array=True)),)),
    ],
    ids=["no key", "a table without", "no value", "two values", "two keys", "a length", "an array"],
)
def test_nothing_else_has_a_single_key(statement: Statement) -> None:
    assert statement.single is None
