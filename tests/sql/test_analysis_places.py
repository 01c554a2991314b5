"""Folded literals: a plan that names places instead of values, and when it must not be shared."""

import pytest

from shardproxy.sql.lexer import fold
from shardproxy.sql.statement import Literal
from tests.sql.verdicts import plan, verdict


def places_of(text: str) -> dict[int, int]:
    """The places as the planner gives them: by the byte of the literal and of its minus sign."""
    folded = fold(text.encode())
    assert folded is not None
    places = {sign: place for place, sign in enumerate(folded.signs) if sign >= 0}
    places.update((offset, place) for place, offset in enumerate(folded.offsets))
    return places


@pytest.mark.parametrize(
    ("sql", "sources"),
    [
        ("SELECT * FROM orders WHERE tenant_id = 'acme'", (Literal(0),)),
        ("SELECT 'größe' FROM orders WHERE note = 'ü' AND tenant_id = 'acme'", (Literal(2),)),
        ("SELECT * FROM devices WHERE device_id = 7", (Literal(0),)),
        ("SELECT * FROM devices WHERE device_id = -7", (Literal(0, negative=True),)),
        ("SELECT * FROM devices WHERE device_id = - 7", (Literal(0, negative=True),)),
        ("SELECT * FROM devices WHERE device_id = 7::int8 AND label = 'x'", (Literal(0),)),
        ("SELECT * FROM orders WHERE tenant_id IN ('a', 'b')", (Literal(0), Literal(1))),
        ("INSERT INTO orders (customer_id, tenant_id) VALUES (5, 'a')", (Literal(1),)),
        ("UPDATE orders SET total = 9.99 WHERE tenant_id = 'a'", (Literal(1),)),
    ],
)
def test_keys_are_places(sql: str, sources: tuple[Literal, ...]) -> None:
    statement = plan(sql, places=places_of(sql))
    assert [key_set.sources for key_set in statement.key_sets] == [sources]
    assert statement.foldable


def test_a_literal_that_was_not_folded_makes_the_plan_one_for_this_text() -> None:
    statement = plan("SELECT * FROM orders WHERE tenant_id = 'acme'", places={})
    assert not statement.foldable


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT status, count(*) FROM orders GROUP BY 1",
        "SELECT * FROM (SELECT tenant_id, count(*) FROM orders GROUP BY 1) s WHERE tenant_id = 'a'",
        "SELECT set_config('a', 'b', true)",
        "SELECT * FROM orders WHERE tenant_id = ANY ('{a,b}')",
        "SET work_mem = 5",
    ],
)
def test_a_decision_that_looked_at_a_value_is_not_shared(sql: str) -> None:
    folded = fold(sql.encode())
    assert not plan(sql, places=places_of(sql) if folded else None).foldable


def test_the_literals_of_a_view_are_not_those_of_the_statement() -> None:
    sql = "SELECT 1, 2, 3, 4, 5, 6 FROM acme_orders"
    statement = plan(sql, places=dict.fromkeys(range(200), 0))
    assert verdict(sql) == "keyed acme"
    assert not any(isinstance(source, Literal) for source in statement.key_sets[0].sources)
