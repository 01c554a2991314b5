"""What analysis promises of a statement, PostgreSQL keeps: the same answer on the shards as on the whole."""

from collections.abc import Iterator
from random import Random

import pytest

from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.errors import ShardproxyError
from shardproxy.sql.statement import Reach
from tests.sql.corpus import CHANGES, QUERIES
from tests.sql.generate import Generator
from tests.sql.oracle import ABSENT, Judge
from tests.sql.verdicts import statements


@pytest.fixture(scope="module")
def judge(install: Install) -> Iterator[Judge]:
    with Run(install) as run:
        server = Server.create(run, "judge").start()
        judge = Judge(server.dsn())
        try:
            yield judge
        finally:
            judge.close()


def usable(text: str) -> bool:
    """Whether a statement can be tried as it stands, and its answer is one."""
    lower = text.lower()
    unsure = (
        "$1",
        "limit",
        "offset",
        "fetch",
        "tablesample",
        "distinct on",
        "row_number",
        "touch",
        "total_of",
        "median",
    )
    return not any(word in lower for word in (*unsure, "random", "now()", "ctid", *ABSENT))


def compare(judge: Judge, text: str) -> bool:
    """Whether a promise was made; fails where it is not kept."""
    try:
        (statement,) = statements(text)
    except (ShardproxyError, ValueError):
        return False
    if statement.tag not in ("SELECT", "EXPLAIN") or not statement.read_only:
        difference = judge.changes_differ(text, statement)
    else:
        difference = judge.differs(text, statement)
    assert difference is None, f"{text}\n  {statement.reach.name} {statement.key_sets}\n  whole: {difference}"
    return statement.reach is Reach.KEYED or statement.fan_out


def test_the_statements_of_the_corpus(judge: Judge) -> None:
    promised = [text for text in filter(usable, QUERIES) if compare(judge, text)]
    assert len(promised) > 100


def test_changes_of_the_corpus(judge: Judge) -> None:
    promised = [text for text in filter(usable, CHANGES) if compare(judge, text)]
    assert len(promised) > 30


@pytest.mark.parametrize("seed", range(4))
def test_generated_statements(judge: Judge, seed: int) -> None:
    generator = Generator(seed)
    promised = sum(compare(judge, generator.statement()) for _ in range(250))
    assert promised > 25


def test_the_corpus_with_its_conditions_exchanged(judge: Judge) -> None:
    random = Random(7)
    texts = [text for text in filter(usable, QUERIES + CHANGES) if "tenant_id" in text]
    exchanges = [
        (" AND ", " OR "),
        ("LEFT JOIN", "FULL JOIN"),
        ("JOIN", "LEFT JOIN"),
        ("o.tenant_id", "i.tenant_id"),
        ("i.tenant_id", "o.tenant_id"),
        ("'a'", "'b'"),
        ("tenant_id = 'a'", "status = 'a'"),
        ("c.tenant_id", "o.tenant_id"),
        ("WHERE", "WHERE NOT"),
        (" = ", " <> "),
        ("UNION", "EXCEPT"),
        ("tenant_id", "order_id"),
    ]
    for _ in range(600):
        text = random.choice(texts)
        for old, new in random.sample(exchanges, 2):
            parts = text.split(old)
            if len(parts) > 1:
                at = random.randrange(1, len(parts))
                text = old.join(parts[:at]) + new + old.join(parts[at:])
        compare(judge, text)
