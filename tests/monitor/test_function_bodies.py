"""What the source of a function proves."""

import pytest

from shardproxy.monitor.function_bodies import may_read


def body(name: str, source: str, **more: str | None) -> dict[str, str | None]:
    plain = {"name": name, "kind": "f", "volatility": "v", "language": "sql", "source": source}
    return {**plain, "types": "", "extension": None, **more}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("SELECT $1 + 1", False),
        ("BEGIN IF a > b THEN RETURN upper(a); END IF; RETURN gen_random_uuid(); END", False),
        ("SELECT count(*) FROM orders", True),
        ('SELECT count(*)FROM"orders"', True),
        ("TABLE orders", True),
        ("BEGIN EXECUTE $1; END", True),
        ("UPDATE orders SET a = 1", True),
        ("SELECT query_to_xml($1, true, true, '')", True),
        ("SELECT $1 === $2", True),
    ],
)
def test_a_body_without_the_words_of_a_statement_on_tables_touches_none(source: str, expected: bool) -> None:
    for language in ("sql", "plpgsql"):
        assert may_read([body("f", source, language=language)], ["==="]) == [expected]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("SELECT extract(year FROM $1)", False),
        ("/* from */ SELECT 'update'", False),
        ("SELECT $1 IS DISTINCT FROM 2", False),
        ("SELECT trim(both 'x' FROM $1), substring($1 FROM 2)", False),
        ("SELECT 1 FROM generate_series(1, 2)", False),
        ("SELECT (SELECT 1 FROM orders WHERE a IS DISTINCT FROM 1)", True),
        ("WITH x AS (DELETE FROM orders RETURNING 1) SELECT 1", True),
        ("SELECT 1; TABLE orders", True),
        ("INSERT INTO orders DEFAULT VALUES", True),
        ("LOCK orders", True),
        ("SELECT FROM FROM", True),
        ("RETURN (SELECT count(*) FROM public.orders)", True),  # a new-style body is no statement
    ],
)
def test_the_grammar_knows_a_table_from_a_word(source: str, expected: bool) -> None:
    assert may_read([body("f", source)], []) == [expected]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "BEGIN IF NEW.a IS DISTINCT FROM OLD.a THEN NEW.b := extract(year FROM NEW.a); END IF; RETURN NEW; END",
            False,
        ),
        ("DECLARE n int := (SELECT 1 FROM orders); BEGIN RETURN n; END", True),
        ("BEGIN RETURN EXISTS (SELECT FROM orders); END", True),
        ("BEGIN IF a IS DISTINCT FROM b THEN EXECUTE c; END IF; END", True),
        ("BEGIN PERFORM 1 FROM orders; END", True),
        ("BEGIN from", True),
    ],
)
def test_a_body_of_plpgsql_is_taken_apart_first(source: str, expected: bool) -> None:
    assert may_read([body("f", source, language="plpgsql")], []) == [expected]


def test_other_languages_may_do_anything() -> None:
    assert may_read([body("f", "return 1", language="plpython3u")], []) == [True]


def test_extensions_may_do_anything_but_those_that_are_known_to_touch_no_table() -> None:
    functions = [
        body("uuid_generate_v4", "uuid_generate_v4", language="c", extension="uuid-ossp"),
        body("crosstab", "crosstab", language="c", extension="tablefunc"),
        body("moddatetime", "moddatetime", language="c", extension="moddatetime"),
        body("partition", "SELECT 1 FROM config", extension="partman"),
        body("named", "SELECT 1", extension="partman"),
        body("same", "same", language="c", volatility="i", extension="postgis"),
    ]
    assert may_read(functions, []) == [False, True, True, True, False, False]


def test_what_a_call_brings_with_it_counts() -> None:
    """A default of an argument that reads, and a domain whose CHECK does: as an argument or a variable."""
    functions = [
        body("reader", "SELECT 1 FROM t"),
        body("by_default", "SELECT $1", types="reader() integer"),
        body("by_argument", "SELECT $1", types="public.code"),
        body("by_variable", "DECLARE x code; BEGIN RETURN x; END", language="plpgsql"),
        body("by_reference", "DECLARE x t.c%TYPE; BEGIN RETURN x; END", language="plpgsql"),
        body("plain", "SELECT $1", types="public.other"),
    ]
    checked = {"code": ["reader"], "other": ["int4eq"], "xml": ["query_to_xml"]}
    assert may_read(functions, [], checked) == [True, True, True, True, True, False]
    assert may_read(functions[1:], [], {"other": ["reader"]}) == [False] * 5
    assert may_read([body("f", "SELECT $1::mine")], [], {"mine": ["query_to_xml"]}) == [True]


def test_who_calls_a_reader_is_one() -> None:
    functions = [
        body("a", "SELECT b(1)"),
        body("b", "SELECT x.C"),
        body("c", "SELECT 1 FROM t"),
        body("d", "SELECT e()"),
        body("e", "SELECT 1"),
        body("total", "c -", kind="a", volatility="i", language="internal"),
        body("other", "int8pl -", kind="a", volatility="i", language="internal"),
    ]
    assert may_read(functions, []) == [True, True, True, False, False, True, False]


def test_immutable_is_taken_at_its_word() -> None:
    assert may_read([body("f", "SELECT 1 FROM t", volatility="i"), body("g", "SELECT f()")], []) == [
        False,
        False,
    ]
