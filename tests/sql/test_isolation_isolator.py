"""The isolator's templates: shared by a shape, and always what isolating the statement itself gives."""

from dataclasses import replace

import pytest

from shardproxy.errors import Refused, StatementError
from shardproxy.sql import grammar
from shardproxy.sql.analysis.tree import walk
from shardproxy.sql.isolation import Isolator, isolate
from shardproxy.sql.isolation import isolator as module
from tests.support.sample_schema import RULES, SCHEMA, SEARCH_PATH
from tests.support.triggered import after, schema

TENANT = "'o''hara'"


@pytest.fixture
def isolator() -> Isolator:
    return Isolator(SCHEMA, RULES)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that had to be isolated."""
    texts: list[str] = []

    def count(text: str, **context: object) -> object:
        texts.append(text)
        return isolate(text, **context)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "isolate", count)
    return texts


def rewrite(isolator: Isolator, text: str) -> str:
    return isolator.rewrite(text, TENANT, SEARCH_PATH)


def meaning(text: str) -> bytes:
    """The tree of ``text`` without locations."""
    tree = grammar.parse(text)
    for message in walk(tree):
        for field, _ in message.ListFields():
            if "location" in field.name or field.name.endswith(("_start", "_end", "_len")):
                message.ClearField(field.name)
    return bytes(tree.SerializeToString(deterministic=True))


STATEMENTS = [
    "SELECT * FROM orders",
    "SELECT 'x', note FROM orders WHERE order_id = 5 AND total > -1.5 OR note = 'it''s' LIMIT 3",
    "SELECT * FROM customers c LEFT JOIN orders o USING (customer_id) WHERE c.name = E'a\\\\b\\n' AND $1",
    "SELECT * FROM open_orders WHERE order_id = 7 AND 'new' = $$new$$",
    "SELECT interval '1 day', date '2020-01-01', '5'::int, 't'::bool, x::numeric(10, 2) FROM orders",
    "SELECT extract('year' FROM placed_at), substring(note FROM 2 FOR 3), placed_at AT TIME ZONE 'utc' FROM orders",
    "SELECT CASE WHEN total > 5 THEN 'a' ELSE 'b' END, coalesce(note, '') FROM orders ORDER BY 1, 2 DESC",
    "SELECT status, count(*) FROM orders WHERE note LIKE 'a%' ESCAPE '\\' GROUP BY 1 HAVING count(*) > 2",
    "SELECT array[1, 2, 3], (array['a'])[1] FROM orders WHERE (order_id, note) IN ((1, 'a'), (2, 'b'))",
    "SELECT '~0~', '~s0~', 1000000000, 'x' FROM orders WHERE total = 0.9000000",
    "WITH x AS (SELECT 3 AS n, 'a' AS s) SELECT * FROM orders, x WHERE order_id = n AND total > 3000000000",
    "UPDATE orders SET total = - 7, note = 'x' WHERE order_id = -8",
    "UPDATE orders SET (note, total) = ('a', 1) WHERE order_id = 2",
    "UPDATE orders SET (note, total) = (SELECT 'a', sum(quantity + 1) FROM order_items) WHERE order_id = 2",
    "DELETE FROM orders USING customers c WHERE c.email = 'a@b' AND c.customer_id = 3",
    "INSERT INTO orders (tenant_id, order_id, note) VALUES ('acme', 1, 'a'), ('acme', 2, 'b')",
    "INSERT INTO orders (tenant_id, order_id) SELECT 'acme', order_id + 100 FROM orders WHERE total > 5",
    "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 1)"
    " ON CONFLICT (tenant_id, order_id) DO UPDATE SET total = orders.total + 1.5",
    "MERGE INTO orders o USING (SELECT 5 AS i) s ON o.order_id = i WHEN MATCHED THEN UPDATE SET total = 3",
]  # fmt: skip


def others(text: str) -> str:
    """A statement of the same shape with other literals."""
    folded = module.fold(text.encode())
    assert folded is not None
    kinds = [kind[1:] for kind in module._MARKER.findall(folded.shape)]
    values = {b"i": "42", b"l": "4000000000", b"n": ".25", b"s": "'other''s'"}
    filled = module._fill(folded.shape, [values[kind] for kind in kinds])
    again = module.fold(filled.encode())
    assert again is not None
    assert again.shape == folded.shape
    return filled


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_shared_template_gives_what_isolating_the_statement_gives(isolator: Isolator, text: str) -> None:
    for primer in (others(text), text):
        rewrite(isolator, primer)
        template = isolate(text, schema=SCHEMA, rules=RULES, search_path=SEARCH_PATH)
        assert meaning(rewrite(isolator, text)) == meaning(TENANT.join(template.parts))


def test_statements_of_one_shape_share_a_template(isolator: Isolator, made: list[str]) -> None:
    found = [
        rewrite(isolator, f"SELECT total FROM orders WHERE order_id = {i} AND note = 'n{i}' LIMIT 5")
        for i in range(5)
    ]
    assert found[4] == (
        f"SELECT total FROM orders WHERE orders.tenant_id = {TENANT} AND order_id = 4 AND note = 'n4' LIMIT 5"
    )
    assert len(made) == 1


def test_a_statement_whose_plan_looked_at_a_value_has_its_own_template(
    isolator: Isolator, made: list[str]
) -> None:
    for tenants in ("{acme}", "{acme}", "{umbrella}"):
        text = f"SELECT total FROM orders WHERE tenant_id = ANY ('{tenants}')"
        assert f"ANY('{tenants}')" in rewrite(isolator, text)
    assert len(made) == 3  # the shape once, and two texts


def test_what_is_not_folded_has_its_own_template(isolator: Isolator, made: list[str]) -> None:
    for _ in range(2):
        assert TENANT in rewrite(isolator, "EXPLAIN SELECT total FROM orders WHERE order_id = 5")
        assert TENANT in rewrite(isolator, "SELECT total FROM orders WHERE note = B'1'::text")
    assert len(made) == 2


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO orders (tenant_id, order_id) VALUES (lower('ACME'), 1)",
        "SELECT total_of('x') FROM orders",
        "TRUNCATE orders",
    ],
)
def test_refusals_are_those_of_the_statement(isolator: Isolator, text: str) -> None:
    for _ in range(2):
        with pytest.raises(Refused) as refusal:
            rewrite(isolator, text)
        with pytest.raises(Refused) as own:
            isolate(text, schema=SCHEMA, rules=RULES, search_path=SEARCH_PATH)
        assert refusal.value.construct == own.value.construct


def test_what_a_write_sets_off_must_be_proven_for_a_tenants_session_too() -> None:
    """Also where the written table is of another group, whose rows no tenant binds."""
    under = schema({"devices": {"triggers": (after("f"),)}}, {"f": "PERFORM 1 FROM products;"})
    for sql in ("UPDATE devices SET label = 'x' WHERE device_id = 1", "UPDATE devices SET label = 'x'"):
        with pytest.raises(Refused, match=r'the function public\.f behind the trigger "f" of "devices"'):
            isolate(sql, schema=under, rules=RULES, search_path=SEARCH_PATH)
        trusting = replace(RULES, trusted=frozenset({("public", "f")}))
        isolate(sql, schema=under, rules=trusting, search_path=SEARCH_PATH)


def test_a_syntax_error_has_the_statements_position(isolator: Isolator) -> None:
    with pytest.raises(StatementError) as error:
        rewrite(isolator, "SELECT 'long literal' FROM WHERE")
    assert error.value.position == 28


def test_the_cache_stays_within_its_bytes() -> None:
    isolator = Isolator(SCHEMA, RULES, cache_bytes=20_000)
    for i in range(40):
        rewrite(isolator, f"SELECT c{i} FROM orders WHERE order_id = {i}")
    assert isolator._cache.bytes <= 20_000
    assert isolator._cache.evictions > 0
