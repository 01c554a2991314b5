"""Whatever a text says, analysis answers with plans that keep their promises, or with an error of ours."""

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shardproxy.errors import ShardproxyError
from shardproxy.sql.statement import Kind, Reach, Statement
from tests.sql.corpus import CHANGES, QUERIES
from tests.sql.verdicts import statements

TOKEN = re.compile(r"\s+|'[^']*'|\"[^\"]*\"|\$?\w+|.", re.DOTALL)
CORPUS = QUERIES + CHANGES
PIECES = sorted({token for sql in CORPUS for token in TOKEN.findall(sql)})


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A statement of the corpus with some tokens dropped, doubled, swapped or taken from elsewhere."""
    tokens = TOKEN.findall(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(tokens) - 1)) if tokens else 0
        match draw(st.integers(0, 4)):
            case 0:
                del tokens[at : at + 1]
            case 1:
                tokens[at:at] = [draw(st.sampled_from(PIECES)), " "]
            case 2 if tokens:
                tokens[at] = draw(st.sampled_from(PIECES))
            case 3 if tokens:
                other = draw(st.integers(0, len(tokens) - 1))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 4:
                tokens += [" ", draw(st.sampled_from(["UNION ALL", ";", "AND", ","])), " "]
                tokens += TOKEN.findall(draw(st.sampled_from(CORPUS)))
    return "".join(tokens)


def check(statement: Statement, text: str) -> None:
    """What every reader of a plan relies on."""
    assert 0 <= statement.start <= statement.end <= len(text)
    if statement.reach is Reach.REFUSED:
        assert statement.refusal is not None
    elif statement.reach is Reach.KEYED:
        assert statement.key_sets
        assert not statement.unbound
    elif statement.reach is Reach.UNBOUND:
        assert statement.fan_out or statement.refusal is not None
    elif statement.reach is Reach.LOCAL:
        assert statement.local_shard is not None
    else:
        assert not statement.key_sets
        assert not statement.unbound
    if statement.fan_out:
        assert statement.kind is Kind.QUERY
        assert statement.tag == "SELECT"
        assert statement.read_only
        assert len(statement.key_sets) + bool(statement.unbound) <= 1
    if statement.kind in (Kind.SET, Kind.RESET):
        assert statement.setting is not None


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_statements(text: str) -> None:
    try:
        found = statements(text)
    except ShardproxyError:
        return
    for statement in found:
        check(statement, text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    try:
        found = statements(text)
    except ShardproxyError:
        return
    for statement in found:
        check(statement, text)


def test_the_corpus_itself() -> None:
    for text in CORPUS:
        for statement in statements(text):
            check(statement, text)
