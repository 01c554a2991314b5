"""The planner gives every text the plan that analysis would give it, from memory where it can."""

import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from shardproxy.errors import Refused, StatementError
from shardproxy.sql.analysis import analyze
from shardproxy.sql.planner import WHOLE_TEXT, Planned, Planner, SearchPath
from shardproxy.sql.schema import Schema
from shardproxy.sql.statement import Constant, Kind, Literal, Parameter, Reach, Statement
from shardproxy.topology.tables import TableRules
from tests.support.sample_schema import RULES, SCHEMA, SEARCH_PATH


class Analyst:
    """The real analysis, which remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(
        self,
        text: str,
        *,
        schema: Schema,
        rules: TableRules,
        search_path: SearchPath,
        places: Mapping[int, int] | None,
    ) -> tuple[Statement, ...]:
        self.asked.append(text)
        return analyze(text, schema=schema, rules=rules, search_path=search_path, places=places)


@pytest.fixture
def analyst() -> Analyst:
    return Analyst()


@pytest.fixture
def planner(analyst: Analyst) -> Planner:
    return Planner(SCHEMA, RULES, analyze=analyst)


def simple(planner: Planner, text: str) -> Planned:
    return planner.simple(text.encode(), SEARCH_PATH)


def extended(planner: Planner, text: str) -> Planned:
    return planner.extended(text.encode(), SEARCH_PATH)


def keys(planned: Planned) -> list[object]:
    """The keys a plan comes to, with folded literals filled in."""
    found: list[object] = []
    for key_set in planned.statements[0].key_sets:
        for source in key_set.sources:
            if isinstance(source, Literal):
                found.append("-" * source.negative + planned.literals[source.place])
            else:
                found.append(source)
    return found


def _as_constant(key: object) -> object:
    if not isinstance(key, str):
        return key
    return Constant(int(key) if key.lstrip("-").isdigit() else key.encode())


def test_statements_that_differ_in_literals_share_a_plan(planner: Planner, analyst: Analyst) -> None:
    first = simple(planner, "SELECT total FROM orders WHERE tenant_id = 'acme' AND order_id = 7")
    second = simple(planner, "SELECT total FROM orders WHERE tenant_id = $$it's$$ AND order_id = 8")
    assert second.statements is first.statements
    assert (keys(first), keys(second)) == (["acme"], ["it's"])
    assert len(analyst.asked) == 1
    assert (planner.hits, planner.misses) == (1, 1)


def test_a_sign_is_part_of_the_shared_plan(planner: Planner, analyst: Analyst) -> None:
    for number in (-5, -7, -(2**31), -(2**40), -(2**50)):
        assert keys(simple(planner, f"SELECT label FROM devices WHERE device_id = {number}")) == [str(number)]
    assert len(analyst.asked) == 2  # one shape for int4, one for int8


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'acme', total FROM orders WHERE tenant_id = 'umbrella'",
        "SELECT total FROM orders WHERE order_id = 5 AND 'acme' = tenant_id",
        "SELECT total FROM orders WHERE tenant_id IN ('acme', 'umbrella')",
        "INSERT INTO orders (order_id, tenant_id) VALUES (1, 'acme'), (2, 'umbrella')",
        "UPDATE orders SET total = -1 WHERE tenant_id = 'acme' AND order_id = - 5",
        "SELECT x::float(10), '2'::varchar(3) FROM misc, orders WHERE orders.tenant_id = 'acme'",
        "SELECT label FROM devices WHERE device_id = - -5",
        "SELECT label FROM devices WHERE device_id = -(5)",
        "SELECT label FROM devices WHERE device_id = -(-5)",
        "SELECT count(*) FROM orders WHERE tenant_id = 'acme' LIMIT 3",
        "WITH x AS (SELECT 'acme' AS t) SELECT total FROM orders, x WHERE tenant_id = t AND tenant_id = 'b'",
        "SELECT label FROM devices WHERE device_id = 99999999999999999999",
        "SELECT label FROM devices WHERE device_id = 5.0",
    ],
)
def test_a_shared_plan_has_the_keys_of_an_exact_one(planner: Planner, text: str) -> None:
    simple(planner, text)
    for _ in range(2):
        planned = simple(planner, text)
        (exact,) = analyze(text, schema=SCHEMA, rules=RULES, search_path=SEARCH_PATH)
        (statement,) = planned.statements
        assert (statement.reach, statement.fan_out) == (exact.reach, exact.fan_out)
        wanted = [source for key_set in exact.key_sets for source in key_set.sources]
        found = [
            key
            if not isinstance(key, str)
            else Constant(int(key) if key.lstrip("-").isdigit() else key.encode())
            for key in keys(planned)
        ]
        assert found == wanted


def test_a_literal_that_is_syntax_is_not_shared(planner: Planner, analyst: Analyst) -> None:
    for precision in (10, 30):
        simple(planner, f"SELECT total::float({precision}) FROM orders WHERE tenant_id = 'acme'")
    assert len(analyst.asked) == 2
    assert len(set(analyst.asked)) == 2


def test_a_plan_that_read_a_literal_is_not_shared_but_kept(planner: Planner, analyst: Analyst) -> None:
    text = "SELECT total FROM orders WHERE tenant_id = ANY ('{{{}}}')"
    first = [keys(simple(planner, text.format(tenant))) for tenant in ("acme", "umbrella")]
    assert first == [[Constant(b"acme")], [Constant(b"umbrella")]]
    again = [keys(simple(planner, text.format(tenant))) for tenant in ("acme", "umbrella")]
    assert again == first
    assert len(analyst.asked) == 2


def test_limits_do_not_keep_a_plan_from_being_shared(planner: Planner, analyst: Analyst) -> None:
    for tenant in ("acme", "umbrella", "hooli"):
        simple(
            planner, f"SELECT total FROM orders WHERE tenant_id = '{tenant}' ORDER BY 1 LIMIT 10 OFFSET 20"
        )
    assert len(analyst.asked) == 1


def test_the_search_path_is_part_of_what_is_looked_up(planner: Planner) -> None:
    text = b"SELECT order_id FROM orders WHERE tenant_id = 'acme'"
    for _ in range(2):
        (here,) = planner.simple(text, ("public",)).statements
        (there,) = planner.simple(text, ("reporting", "public")).statements
        assert (here.reach, there.reach) == (Reach.KEYED, Reach.REFUSED)  # reporting.orders has no rule
    assert (planner.hits, planner.misses) == (2, 2)


def test_extended_plans_have_no_places(planner: Planner) -> None:
    for _ in range(2):
        assert keys(extended(planner, "SELECT 1 FROM orders WHERE tenant_id = $1")) == [Parameter(1)]
        assert keys(extended(planner, "SELECT 1 FROM orders WHERE tenant_id = 'acme'")) == [Constant(b"acme")]
    assert (planner.hits, planner.misses) == (2, 2)


def test_leading_comments_do_not_make_new_plans(planner: Planner, analyst: Analyst) -> None:
    for tenant in ("acme", "umbrella"):
        for plan, value in ((simple, "7"), (extended, "$1")):
            plan(
                planner,
                f"/* shardproxy.tenant='{tenant}' */ SELECT total FROM orders WHERE order_id = {value}",
            )
    assert len(analyst.asked) == 2


def test_a_shared_plan_has_no_positions_of_another_text(planner: Planner) -> None:
    for plan in (simple, extended):
        for comment in ("/* a */", "/* longer */"):
            text = comment + " SELECT total FROM orders WHERE note = 'some' FOR UPDATE"
            (statement,) = plan(planner, text).statements
            assert text[statement.start : statement.end] == text
            assert statement.refusal is None or statement.refusal.position == 0


def test_several_statements_in_one_text_are_planned_each(planner: Planner, analyst: Analyst) -> None:
    text = "BEGIN; UPDATE orders SET total = 1 WHERE tenant_id = 'acme'; COMMIT"
    for _ in range(2):
        planned = simple(planner, text)
        assert [statement.kind for statement in planned.statements] == [Kind.BEGIN, Kind.QUERY, Kind.COMMIT]
        assert [text[s.start : s.end].strip() for s in planned.statements] == text.split("; ")
    assert len(analyst.asked) == 1


def test_an_empty_text_has_a_plan(planner: Planner) -> None:
    assert [statement.kind for statement in simple(planner, " ; ").statements] == [Kind.EMPTY]


def test_errors_are_the_grammars_and_are_not_kept(planner: Planner) -> None:
    for _ in range(2):
        with pytest.raises(StatementError) as error:
            simple(planner, "SELECT 'a' FROM orders WHERE AND")
        assert (error.value.sqlstate, error.value.position) == ("42601", 30)
    assert len(planner) == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"SELECT '\xff'", "0xff"),
        (b"SELECT '\xc3(' ", "0xc3 0x28"),
        (b"SELECT \xe2\x82", "0xe2 0x82"),
        (b"SELECT 'a', '\xed\xa0\x80'", "0xed 0xa0 0x80"),
        (b"SELECT '\xf0\x9f'", "0xf0 0x9f 0x27"),
        (b"SELECT \x80", "0x80"),
    ],
)
def test_bytes_that_are_not_utf8_are_refused_as_postgresql_does(
    planner: Planner, text: bytes, shown: str
) -> None:
    for plan in (planner.simple, planner.extended):
        with pytest.raises(StatementError) as error:
            plan(text, SEARCH_PATH)
        assert error.value.sqlstate == "22021"
        assert error.value.message == f'invalid byte sequence for encoding "UTF8": {shown}'


def test_the_cache_stays_within_its_bytes(analyst: Analyst) -> None:
    planner = Planner(SCHEMA, RULES, cache_bytes=100_000, analyze=analyst)
    for i in range(200):
        extended(planner, f"SELECT column_{i} FROM orders WHERE tenant_id = $1")
        extended(planner, "SELECT total FROM orders WHERE tenant_id = $1")  # used all the time, so it stays
        assert 0 < planner.cached_bytes <= 100_000
    assert planner.evictions > 100
    assert len(analyst.asked) == 201
    assert len(planner) + planner.evictions == 201


def test_the_estimate_of_bytes_is_not_too_small(analyst: Analyst) -> None:
    import tracemalloc

    planner = Planner(SCHEMA, RULES, analyze=analyst)
    rows = ", ".join(f"({i}, 'tenant {i}')" for i in range(200))
    simple(planner, "SELECT 1")
    analyst.asked.clear()
    before = planner.cached_bytes
    tracemalloc.start()
    for i in range(8):
        analyst.asked.clear()
        simple(planner, f"SELECT c{i} FROM orders o JOIN order_items USING (tenant_id) WHERE tenant_id = 'a'")
        simple(planner, f"INSERT INTO orders (c{i}, tenant_id) VALUES {rows}")
    analyst.asked.clear()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken <= (planner.cached_bytes - before) * 1.2


def test_a_long_text_is_planned_and_not_kept(analyst: Analyst) -> None:
    planner = Planner(SCHEMA, RULES, max_cached_text=1000, analyze=analyst)
    text = f"SELECT total FROM orders WHERE tenant_id = 'acme' AND note = '{'x' * 1000}'"
    for _ in range(2):
        for plan in (simple, extended):
            assert keys(plan(planner, text)) == [Constant(b"acme")]
            assert keys(plan(planner, "/* x */" + text)) == [Constant(b"acme")]
    assert len(analyst.asked) == 8
    assert (len(planner), planner.cached_bytes) == (0, 0)


def test_types_that_are_checked_by_reading_are_known_until_their_functions_are_trusted() -> None:
    checked = replace(SCHEMA, reading_types={"code": (("public", "f"),), "mood": (("public", "g"),)})
    for trusted, expected in (((), "code"), (("f",), "mood"), (("f", "g"), None)):
        rules = replace(RULES, trusted=frozenset(("public", name) for name in trusted))
        assert Planner(checked, rules).checking_type == expected
    assert Planner(SCHEMA, RULES).checking_type is None


def test_a_new_schema_makes_new_plans_and_keeps_the_counters(planner: Planner) -> None:
    text = b"SELECT label FROM devices WHERE device_id = 5"
    assert planner.simple(text, SEARCH_PATH).statements[0].reach is Reach.KEYED
    rules = replace(RULES, rules={**RULES.rules, ("public", "devices"): RULES.rules["public", "currencies"]})
    fresh = planner.replace(SCHEMA, rules)
    assert fresh.simple(text, SEARCH_PATH).statements[0].reach is Reach.ANYWHERE
    assert planner.simple(text, SEARCH_PATH).statements[0].reach is Reach.KEYED
    assert (planner.hits, planner.misses, fresh.hits, fresh.misses) == (1, 1, 0, 2)


def test_a_refusal_of_a_shared_plan_says_what_and_not_where() -> None:
    refusal = Refused("this", hint="that", detail="more", position=9, sqlstate="0A001")

    def refuse(text: str, **context: object) -> tuple[Statement, ...]:
        return (Statement(Kind.QUERY, "SELECT", Reach.UNBOUND, refusal=refusal),)

    planner = Planner(SCHEMA, RULES, analyze=refuse)
    (statement,) = simple(planner, "SELECT 'x'").statements
    kept = statement.refusal
    assert kept is not None
    assert (kept.construct, kept.hint, kept.detail, kept.sqlstate) == ("this", "that", "more", "0A001")
    assert kept.position == 0
    assert (statement.start, statement.end) == (0, WHOLE_TEXT)
    assert sys.maxsize <= WHOLE_TEXT


def test_a_plan_of_a_simple_query_for_its_text_serves_a_parse_of_that_text(planner: Planner) -> None:
    text = b"SELECT count(*) FROM orders WHERE tenant_id = 'acme' GROUP BY status, 1"
    (simple,) = planner.simple(text, ("public",)).statements
    (parsed,) = planner.extended(text, ("public",)).statements
    for statement in (simple, parsed):
        assert statement.key_sets[0].sources == (Constant(b"acme"),)
