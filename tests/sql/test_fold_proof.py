"""A fold is shared only where the grammar found the same constants at the same bytes."""

import pytest

from shardproxy.sql import grammar
from shardproxy.sql.fold_proof import is_proven
from shardproxy.sql.lexer import Folded, fold


def proven(text: str) -> bool:
    folded = fold(text.encode())
    assert folded is not None
    return is_proven(folded, grammar.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1, 'a', 1.5, 3000000000, 007, E'\\n', $$x$$",
        "SELECT -1, - 1.5, -/* c */3000000000, -'a', a - 'b', a -1",
        "SELECT 0, '', 'é', x[1], x::varchar(10) FROM t WHERE a = 'b' ORDER BY 'c' LIMIT 1 + 1",
        "SELECT a FROM t",
    ],
)
def test_constants_are_proven(text: str) -> None:
    assert proven(text)


@pytest.mark.parametrize("text", ["SELECT x::float(10)", "SELECT x::int[3]", "SELECT - -5", "SELECT -(5)"])
def test_what_is_syntax_or_has_moved_is_not(text: str) -> None:
    assert not proven(text)


@pytest.mark.parametrize(
    "wrong",
    [
        Folded(b"SELECT \0s", ("7",), (7,), (-1,)),  # another kind
        Folded(b"SELECT \0l", ("7",), (7,), (-1,)),
        Folded(b"SELECT \0i", ("8",), (7,), (-1,)),  # another value
        Folded(b"SELECT \0i", ("7",), (8,), (-1,)),  # another place
        Folded(b"SELECT \0i", ("7",), (8,), (7,)),  # a sign that is none
        Folded(b"SELECT \0i \0i", ("7", "7"), (7, 9), (-1, -1)),  # one too many
    ],
)
def test_a_lexer_that_errs_is_caught(wrong: Folded) -> None:
    assert not is_proven(wrong, grammar.parse("SELECT 7"))


def test_constants_that_the_grammar_makes_up_prove_nothing() -> None:
    tree = grammar.parse("SELECT a FROM t FETCH FIRST ROW ONLY")  # LIMIT 1, at no byte
    assert not is_proven(Folded(b"\0i", ("1",), (3,), (-1,)), tree)
