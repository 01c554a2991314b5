"""Generated statements: refused, or answered as one PostgreSQL with all rows answers them.

``SHARDPROXY_GENERATED=20000 SHARDPROXY_SEED=7 pytest tests/parity/test_generated.py`` runs that many of each kind
from another seed; without them a run says the same today and tomorrow.
"""

import os
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest

from tests.parity.generator import Changes, Queries
from tests.parity.generator.tables import CHANGED, DISGUISE
from tests.parity.trial import Trial
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

COUNT: Final = int(os.environ.get("SHARDPROXY_GENERATED", "250"))
SEEDS: Final = (1, int(os.environ.get("SHARDPROXY_SEED", "2")))


@pytest.fixture(scope="module")
def disguised(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with fewer rows, and with tenants' names in its texts."""
    for dsn in (*(cluster.dsn(i, superuser=True) for i in range(3)), cluster.oracle_dsn(superuser=True)):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(DISGUISE)
    yield cluster
    cluster.reset()


@pytest.fixture
def trial(disguised: Cluster, proxy: Proxy) -> Iterator[Trial]:
    with Trial(proxy.dsn(), disguised.oracle_dsn(), values(disguised)) as trial:
        yield trial


def values(cluster: Cluster) -> dict[str, Any]:
    """Two tenants of one shard, one each of the others, and devices of two shards."""
    (t, w, *_), (u, *_), (v, *_) = (cluster.tenants_of(shard) for shard in range(3))
    devices = {sample.owner("devices", device): device for device in sample.DEVICES}
    d, e, *_ = devices.values()
    lists = {"ts": [t, w], "ds": [d, e]}
    return {"t": t, "w": w, "u": u, "v": v, "nil": None, "d": d, "e": e, "doc": sample.DOCS[3], **lists}


@pytest.mark.timeout(60 + COUNT)
@pytest.mark.parametrize("seed", SEEDS)
def test_queries(trial: Trial, seed: int) -> None:
    queries = Queries(seed)
    trial.select((queries.statement() for _ in range(COUNT)), seed)
    print(f"seed {seed}: {trial.report()}")
    assert not trial.wrong, f"seed {seed}\n" + "\n".join(trial.wrong)
    assert trial.answered > 0.4, trial.report()


@pytest.mark.timeout(60 + COUNT)
@pytest.mark.parametrize("seed", SEEDS)
def test_changes_that_are_rolled_back(trial: Trial, seed: int) -> None:
    changes = Changes(seed)
    trial.change((changes.statement() for _ in range(COUNT // 2)), seed)
    print(f"seed {seed}: {trial.report()}")
    assert not trial.wrong, f"seed {seed}\n" + "\n".join(trial.wrong)
    assert trial.answered > 0.25, trial.report()


@pytest.mark.timeout(60 + COUNT)
@pytest.mark.parametrize("seed", SEEDS)
def test_changes_leave_the_tables_as_one_postgresql_would(
    trial: Trial, disguised: Cluster, seed: int
) -> None:
    changes = Changes(seed + 1)
    try:
        trial.keep((changes.statement() for _ in range(COUNT // 2)), seed)
        assert not trial.wrong, f"seed {seed}\n" + "\n".join(trial.wrong)
        for table, columns in CHANGED.items():
            query = f"SELECT {', '.join(columns)} FROM {table}"
            shards = range(1 if sample.TABLES[table] == "reference" else 3)
            rows = [row for shard in shards for row in _rows(disguised.dsn(shard), query)]
            assert sorted(rows) == sorted(_rows(disguised.oracle_dsn(), query)), f"seed {seed}: {table}"
    finally:
        disguised.reset()
        for dsn in (
            *(disguised.dsn(i, superuser=True) for i in range(3)),
            disguised.oracle_dsn(superuser=True),
        ):
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(DISGUISE)


def _rows(dsn: str, query: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [repr(row) for row in connection.execute(query.encode())]
