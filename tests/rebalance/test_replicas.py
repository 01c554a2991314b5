"""Shards with replicas: who may be promoted must have what the cut-over stands on."""

from collections.abc import Iterator

import psycopg
import pytest

from shardproxy.backend.server import Address
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog.journal import Keys
from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from tests.rebalance.pair import NAMES, Pair
from tests.support.aio import run


@pytest.fixture(scope="module")
def replicated(install: Install) -> Iterator[tuple[tuple[Server, Server], tuple[Server, Server]]]:
    """Two primaries, and a replica of each."""
    with Run(install) as run:
        primaries = tuple(Server.create(run, name).start() for name in NAMES)
        yield primaries, tuple(each.basebackup(f"{each.name}-replica").start() for each in primaries)


def with_replicas(pair: Pair, replicas: tuple[Server, Server]) -> Installation:
    specs = {}
    for (name, spec), replica in zip(pair.installation().shards.items(), replicas, strict=True):
        follower = ServerSpec(Address("127.0.0.1", replica.port), spec.primary.login)
        specs[name] = ShardSpec(name, spec.primary, (follower,))
    return Installation(specs, "left")


@pytest.mark.parametrize("late", [0, 1], ids=NAMES)
def test_a_replica_that_lags_at_the_cut_over_takes_it_back(
    replicated: tuple[tuple[Server, Server], tuple[Server, Server]], late: int
) -> None:
    primaries, replicas = replicated
    pair = Pair.create(primaries)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    replica, said = replicas[late], []

    def report(progress: Progress) -> None:
        if progress.step == "arrive" and progress.begins and not said:
            replica.pause()
        if "not on right in time" in progress.what:
            said.append(progress.what)
            assert pair.query("left", "SELECT state FROM shardproxy.moving") == [("moving",)]
            replica.resume()

    what = Keys("tenant", ("acme",))
    options = MoveOptions(grace=1, max_pause=0.5)
    [outcome] = run(rebalance.move(with_replicas(pair, replicas), what, "right", options, report), 60)
    assert outcome.state == "done"
    assert said
    assert pair.left_behind() == []
    for follower, rows in zip(replicas, (0, 100), strict=True):
        follower.wait_for_replay(primaries[replicas.index(follower)])
        with psycopg.connect(follower.dsn(dbname=pair.database)) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (rows,)
