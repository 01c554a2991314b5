"""What analysis says of a statement, in one line, so that tables of statements read as transcripts."""

from collections.abc import Iterable, Mapping

from shardproxy.sql.analysis import analyze
from shardproxy.sql.statement import Constant, KeySet, KeySource, Literal, Reach, Statement
from shardproxy.topology.keys import to_text
from tests.support.sample_schema import RULES, SCHEMA, SEARCH_PATH


def statements(
    text: str, *, search_path: tuple[str, ...] = SEARCH_PATH, places: Mapping[int, int] | None = None
) -> tuple[Statement, ...]:
    """The plans of ``text`` under the sample schema."""
    return analyze(text, schema=SCHEMA, rules=RULES, search_path=search_path, places=places)


def plan(
    text: str, *, search_path: tuple[str, ...] = SEARCH_PATH, places: Mapping[int, int] | None = None
) -> Statement:
    """The plan of a text with one statement."""
    (statement,) = statements(text, search_path=search_path, places=places)
    return statement


def verdict(text: str, *, search_path: tuple[str, ...] = SEARCH_PATH) -> str:
    """``keyed acme; $1``, ``unbound orders``, ``anywhere``, ``local shard-a``, ``refused: its construct``.

    Keys of one set have commas between them, sets semicolons; ``(nothing)`` is a set without keys; ``keeps a``:
    rows are given the key a, which has to be theirs already.
    """
    return _line(plan(text, search_path=search_path))


def fan_out(text: str) -> str:
    """``concatenate``, or the construct for which the shards' answers cannot be concatenated."""
    statement = plan(text)
    if statement.fan_out:
        return "concatenate"
    assert statement.refusal is not None, text
    return statement.refusal.construct


def _line(statement: Statement) -> str:
    keys = "; ".join(map(_keys, statement.key_sets))
    unbound = ", ".join(name for _, name in statement.unbound)
    match statement.reach:
        case Reach.KEYED:
            assert not statement.unbound
            return f"keyed {keys}"
        case Reach.UNBOUND:
            return " ".join(part for part in ("unbound", unbound, keys and f"beside {keys}") if part)
        case Reach.LOCAL:
            return f"local {statement.local_shard}"
        case Reach.REFUSED:
            assert statement.refusal is not None
            return f"refused: {statement.refusal.construct}"
    return "anywhere"


def _keys(key_set: KeySet) -> str:
    keys = ", ".join(_sources(key_set, key_set.sources)) if key_set.sources else "(nothing)"
    return f"keeps {keys}" if key_set.kept else keys


def _sources(key_set: KeySet, sources: Iterable[KeySource]) -> Iterable[str]:
    for source in sources:
        if isinstance(source, Constant):
            yield "null" if source.key is None else to_text(key_set.family, source.key)
        elif isinstance(source, Literal):
            yield f"{'-' if source.negative else ''}literal {source.place}"
        else:
            yield f"any(${source.number})" if source.array else f"${source.number}"
