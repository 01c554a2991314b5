"""What the source of a function proves."""

import pytest

from shardproxy.monitor.function_bodies import may_read


def body(name: str, source: str, **more: str) -> dict[str, str]:
    return {"name": name, "kind": "f", "volatility": "v", "language": "sql", "source": source} | more


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
        ("/* from */ SELECT 1", True),
    ],
)
def test_a_body_without_the_words_of_a_statement_on_tables_touches_none(source: str, expected: bool) -> None:
    for language in ("sql", "plpgsql"):
        assert may_read([body("f", source, language=language)], ["==="]) == [expected]


def test_other_languages_may_do_anything() -> None:
    assert may_read([body("f", "return 1", language="plpython3u")], []) == [True]


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
