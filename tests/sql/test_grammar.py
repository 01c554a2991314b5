"""The grammar: PostgreSQL's trees and errors, and no text that harms the process."""

import pytest

from shardproxy.errors import StatementError
from shardproxy.sql import grammar
from tests.sql.verdicts import statements


def test_tokens_are_the_servers_without_comments() -> None:
    found = grammar.tokens("""SELECT /* no */ Ä."Q""u", 'a;b' <<$1:=E'\\'' -- no""")
    assert [(token.text, token.word, token.keyword) for token in found] == [
        ("SELECT", "select", "select"),
        ("Ä", "Ä", "Ä"),
        (".", "", ""),
        ('"Q""u"', 'Q"u', ""),
        (",", "", ""),
        ("'a;b'", "", ""),
        ("<<", "", ""),
        ("$1", "", ""),
        (":=", "", ""),
        ("E'\\''", "", ""),
    ]
    assert (found[2].start, found[2].end) == (18, 19), "bytes"
    with pytest.raises(StatementError):
        grammar.tokens("SELECT 'a")


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("SELECT * FRO x", 'syntax error at or near "FRO"', 10),
        ("SELECT 'é' WHERE WHERE", 'syntax error at or near "WHERE"', 18),
        ("é", 'syntax error at or near "é"', 1),
        ("SELECT '", 'unterminated quoted string at or near "\'"', 8),
        ("SELECT 1;\nSELECT ü FROM WHERE", 'syntax error at or near "WHERE"', 25),
        ("SELECT", None, 0),
        ("SELECT 1 FROM", "syntax error at end of input", 14),
        ('SELECT ""', 'zero-length delimited identifier at or near """"', 8),
    ],
)
def test_errors_are_worded_and_placed_as_by_postgresql(text: str, message: str | None, position: int) -> None:
    if message is None:
        grammar.parse(text)
        return
    with pytest.raises(StatementError) as caught:
        grammar.parse(text)
    assert caught.value.message == message
    assert caught.value.position == position
    assert caught.value.sqlstate == "42601"


@pytest.mark.parametrize("function", [grammar.parse, grammar.split, grammar.normalize, grammar.fingerprint])
@pytest.mark.parametrize("text", ["SELECT 1\0; DROP TABLE orders", "SELECT '\udcff'"])
def test_what_the_parser_would_read_differently_from_the_server_is_refused(function, text: str) -> None:
    with pytest.raises(StatementError) as caught:
        function(text)
    assert caught.value.sqlstate == "22021"


def test_split_normalize_fingerprint_and_deparse() -> None:
    assert grammar.split("SELECT 1; ;SELECT 'é;'; -- end") == ("SELECT 1", "SELECT 'é;'")
    assert grammar.normalize("SELECT * FROM t WHERE a = 7") == "SELECT * FROM t WHERE a = $1"
    assert grammar.fingerprint("SELECT 1") == grammar.fingerprint("select  2")
    assert grammar.fingerprint("SELECT 1") != grammar.fingerprint("SELECT a")
    assert grammar.deparse(grammar.parse("select  a from t where b=1")) == "SELECT a FROM t WHERE b = 1"


NESTED = {
    "parentheses": lambda n: f"SELECT {'(' * n}1{')' * n}",
    "operators": lambda n: f"SELECT {'+'.join('1' * n)}",
    "NOT": lambda n: f"SELECT {'NOT ' * n}true",
    "minus": lambda n: f"SELECT {'- ' * n}a",
    "functions": lambda n: f"SELECT {'f(' * n}1{')' * n}",
    "casts": lambda n: f"SELECT 1{'::int' * n}",
    "arrays": lambda n: f"SELECT ARRAY{'[' * n}1{']' * n}",
    "CASE": lambda n: f"SELECT {'CASE WHEN a THEN ' * n}1{' END' * n}",
    "subqueries": lambda n: f"{'SELECT * FROM (' * n}SELECT 1{') x' * n}",
    "sublinks": lambda n: f"{'SELECT (' * n}SELECT 1{')' * n}",
    "UNION": lambda n: " UNION ALL ".join(["SELECT 1"] * n),
    "joins": lambda n: f"SELECT * FROM {' CROSS JOIN '.join(['t'] * n)}",
    "function calls in a chain": lambda n: f"SELECT {'+'.join(['f(1,1)'] * n)}",
    "concatenated rows": lambda n: f"SELECT {'||'.join(['(1,2)'] * n)}",
    "WITH": lambda n: f"{'WITH x AS (' * n}SELECT 1{') SELECT 1' * n}",
}


@pytest.mark.parametrize("shape", NESTED)
@pytest.mark.parametrize("depth", [200, 10_000, 60_000])
def test_deep_nesting_is_an_error_and_not_a_crash(shape: str, depth: int) -> None:
    text = NESTED[shape](depth)
    if depth == 200 and _is_planned(text):
        return
    with pytest.raises(StatementError, match=r"stack depth limit exceeded|memory exhausted"):
        statements(text)


def _is_planned(text: str) -> bool:
    try:
        return len(statements(text)) == 1
    except StatementError:
        return False


@pytest.mark.parametrize("shape", NESTED)
def test_what_people_write_is_not_too_deep(shape: str) -> None:
    assert len(statements(NESTED[shape](25))) == 1


def test_long_flat_statements_are_not_too_deep() -> None:
    rows = ", ".join(f"('a', {i}, 'x - y', -1.5 * 2)" for i in range(4_000))
    assert len(statements(f"INSERT INTO orders VALUES {rows}")) == 1
    either = " OR ".join(f"order_id = {i} AND total - 1 > {i}" for i in range(3_000))
    assert len(statements(f"SELECT FROM orders WHERE {either}")) == 1
    assert (
        len(statements(f"SELECT FROM orders WHERE order_id IN ({', '.join(map(str, range(20_000)))})")) == 1
    )
    assert len(statements("SELECT 1;" * 3_000)) == 3_000
