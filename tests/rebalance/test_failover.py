"""A shard's replica takes over in the middle of a move: the move ends well or stops, and no row is lost.

The address stays, as it does behind a virtual one; a relay stands in for that.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest

from shardproxy.backend.server import Address
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog.journal import Keys
from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.driver import Differed
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from tests.rebalance.pair import NAMES, Pair
from tests.support import chaos
from tests.support.aio import run
from tests.support.relay import Relay
from tests.support.rest import wait_until

CASES = [(step, who) for who in NAMES for step in ("retire", "copy", "follow", "fence")]
"""Every third is in the ordinary suite; all are in ``make chaos``."""
ROWS = 2_000
SUM = ROWS * (ROWS + 1) // 2


@dataclass
class Replicated:
    """The pair, each shard behind a relay, with a replica that can take over."""

    pair: Pair
    replicas: tuple[Server, Server]
    relays: tuple[Relay, Relay]

    @property
    def installation(self) -> Installation:
        specs = {}
        for (name, spec), relay in zip(self.pair.installation().shards.items(), self.relays, strict=True):
            specs[name] = ShardSpec(name, ServerSpec(Address("127.0.0.1", relay.port), spec.primary.login))
        return Installation(specs, "left")

    def fail_over(self, name: str, *, loses: bool = False) -> None:
        """The primary is gone at once; its replica is the primary from now on. It has everything, unless it
        ``loses`` what comes now.
        """
        number = NAMES.index(name)
        primary, replica = self.pair.servers[number], self.replicas[number]
        replica.wait_for_replay(primary)
        if loses:
            replica.configure({"primary_conninfo": ""})
            replica.reload()
            receiving = "SELECT count(*) FROM pg_stat_wal_receiver"
            wait_until(lambda: replica.query(receiving) == "0", "the replica is cut off")
        self.pair.query("left", "INSERT INTO orders VALUES ('acme', 0, 'late')")
        if loses:
            wait_until(lambda: self.pair.query("right", "SELECT 1 FROM orders WHERE id = 0"), "it is applied")
            wait_until(lambda: not self.unconfirmed(), "it is confirmed")
        else:
            replica.wait_for_replay(primary)
        primary.kill()
        replica.promote()
        self.relays[number].to = ("127.0.0.1", replica.port)

    def unconfirmed(self) -> list[tuple[object, ...]]:
        """The slots whose subscriber has not confirmed everything."""
        behind = "SELECT slot_name FROM pg_replication_slots WHERE confirmed_flush_lsn < pg_current_wal_insert_lsn()"
        return self.pair.query("left", behind)

    def rows(self, name: str) -> tuple[int, int]:
        """How many rows whoever is the shard's primary now has, and their sum."""
        number = NAMES.index(name)
        dsn = self.pair.servers[number].dsn(dbname=self.pair.database)
        moved = dsn.replace(f":{self.pair.servers[number].port}/", f":{self.relays[number].port}/")
        plainly = {"sslmode": "disable", "gssencmode": "disable"}
        with psycopg.connect(moved, autocommit=True, **plainly) as connection:
            row = connection.execute("SELECT count(*), COALESCE(sum(id), 0) FROM orders").fetchone()
        assert row is not None
        return row[0], row[1]

    def move(self, at: str, name: str, *, loses: bool = False) -> list[Outcome]:
        """Move the tenant to the right; as the step begins, the shard of that name fails over."""
        done = []

        def report(progress: Progress) -> None:
            if progress.step == at and progress.begins and not done:
                done.append(at)
                self.fail_over(name, loses=loses)

        options = MoveOptions(grace=1, patience=30)
        return run(rebalance.move(self.installation, Keys("tenant", ("acme",)), "right", options, report), 90)


@pytest.fixture
def replicated(install: Install) -> Iterator[Replicated]:
    with Run(install) as servers, ExitStack() as stack:
        left, right = (Server.create(servers, name).start() for name in NAMES)
        pair = Pair.create((left, right))
        pair.query("left", f"INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, {ROWS}) AS i")
        one, two = (each.basebackup(f"{each.name}-replica").start() for each in (left, right))
        relays = [stack.enter_context(Relay(each.port)) for each in (left, right)]
        yield Replicated(pair, (one, two), (relays[0], relays[1]))


@pytest.mark.chaos
@pytest.mark.parametrize(("step", "who"), CASES if chaos.LONG else CASES[::3])
def test_a_move_outlives_a_failover(replicated: Replicated, step: str, who: str) -> None:
    [outcome] = replicated.move(step, who)
    assert outcome.state == "done"
    assert replicated.rows("right") == (ROWS + 1, SUM)
    assert replicated.rows("left") == (0, 0)


def test_a_target_that_loses_what_it_has_confirmed_is_found_out(replicated: Replicated) -> None:
    """Nobody sends it again: the slot is behind it. The source has it, and owns it again."""
    with pytest.raises(Differed, match="did not have what shard left had"):
        replicated.move("fence", "right", loses=True)
    assert replicated.rows("left") == (ROWS + 1, SUM)
