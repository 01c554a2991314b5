"""The pause: it waits for whoever uses the rows, it is given up when that takes too long, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shardproxy.backend import driver
from shardproxy.backend.epoch import enter_script
from shardproxy.catalog.journal import Keys
from shardproxy.rebalance import cut_over
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.cut_over import CutOverFailed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from tests.rebalance.listening import At
from tests.rebalance.pair import Pair
from tests.support.aio import run

ACME = Keys("tenant", ("acme",))


class Client:
    """A session of a sidecar on ``left``, and a report that lets a test wait for what a move says."""

    def __init__(self, pair: Pair, connection: asyncpg.Connection) -> None:
        self.connection = connection
        self._pair = pair
        self._said: list[Progress] = []
        self._more = asyncio.Event()

    def report(self, progress: Progress) -> None:
        self._said.append(progress)
        self._more.set()

    async def until(self, step: str, words: str = "") -> None:
        """Return when the move has come to a step, or has said some words in it."""
        while not any(each.step == step and words in each.what for each in self._said):
            self._more.clear()
            await self._more.wait()

    async def enter_newest(self) -> None:
        """As a sidecar that has heard of a map."""
        await self.connection.execute(enter_script(self._pair.map().shard_epochs[0], None))


@asynccontextmanager
async def client(pair: Pair) -> AsyncIterator[Client]:
    spec = pair.installation().shards["left"].primary
    connection = await driver.connect(
        spec.address, spec.login, "a sidecar", timeout=10, settings={"search_path": "public"}
    )
    try:
        yield Client(pair, connection)
    finally:
        connection.terminate()


@pytest.fixture
def pair(servers: tuple) -> Pair:
    pair = Pair.create(servers)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    return pair


async def write_in_the_middle(pair: Pair, commit_at: tuple[str, str], role: str = "origin") -> None:
    """A transaction that is open when the rows are taken from their users, and commits at some moment.

    ``role``: its session_replication_role; with ``replica`` it meets no trigger.
    """
    async with client(pair) as sidecar:
        moving = asyncio.create_task(
            rebalance.move(pair.installation(), ACME, "right", MoveOptions(grace=5), sidecar.report)
        )
        try:
            await sidecar.until("retire")
            await sidecar.enter_newest()
            await sidecar.connection.execute("BEGIN; CALL shardproxy.guard(1)")
            await sidecar.connection.execute(f"SET LOCAL session_replication_role = {role}")
            await sidecar.until("copy")
            await sidecar.until(*commit_at)
            await sidecar.connection.execute(
                "INSERT INTO orders VALUES ('acme', 999, 'in the middle'); COMMIT"
            )
            # It leaves the epoch, as a sidecar does when it hears of the next map.
            await sidecar.connection.close()
            await moving
        finally:
            moving.cancel()


def test_the_cut_over_waits_for_a_transaction_in_the_middle(pair: Pair) -> None:
    run(write_in_the_middle(pair, ("fence", "in use")), 60)
    assert pair.query("right", "SELECT note FROM orders WHERE id = 999") == [("in the middle",)]
    assert pair.query("left", "SELECT count(*) FROM orders") == [(0,)]
    assert pair.left_behind() == []


def test_without_the_drain_the_same_transaction_fails_at_the_tables(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut_over, "_DRAIN", "SELECT $1::int4, $2::int4")
    with pytest.raises(asyncpg.PostgresError, match="move 1: the rows are not here"):
        run(write_in_the_middle(pair, ("retire_source", "")), 60)


def test_without_the_drain_and_the_triggers_it_is_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_over, "_DRAIN", "SELECT $1::int4, $2::int4")
    run(write_in_the_middle(pair, ("retire_source", ""), role="replica"), 60)
    assert pair.query("right", "SELECT note FROM orders WHERE id = 999") == []
    assert pair.query("left", "SELECT note FROM orders WHERE id = 999") == []


def test_a_sidecar_that_is_gone_does_not_hold_the_rows(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_over, "VANISHED", 0.2)

    async def work() -> None:
        async with client(pair) as sidecar:
            moving = asyncio.create_task(
                rebalance.move(pair.installation(), ACME, "right", MoveOptions(grace=5), sidecar.report)
            )
            await sidecar.until("retire")
            await sidecar.enter_newest()
            await sidecar.connection.execute("SELECT shardproxy.hold(1)")
            await sidecar.until("fence", "ended 1 idle connections")
            await moving
            assert sidecar.connection.is_closed()

    run(work(), 60)
    assert pair.left_behind() == []


def test_rows_that_are_always_in_use_stay_where_they_are(pair: Pair) -> None:
    async def scenario() -> None:
        async with client(pair) as sidecar:
            options = MoveOptions(grace=5, max_pause=0.1, cut_over_attempts=2)
            moving = asyncio.create_task(
                rebalance.move(pair.installation(), ACME, "right", options, sidecar.report)
            )
            await sidecar.until("retire")
            await sidecar.enter_newest()
            await sidecar.connection.execute("BEGIN; CALL shardproxy.guard(1); SELECT FROM orders")
            with pytest.raises(CutOverFailed) as failed:
                await moving
            assert f"pid {sidecar.connection.get_server_pid()}" in str(failed.value.detail)
            await sidecar.connection.execute("INSERT INTO orders VALUES ('acme', 999, 'still here'); COMMIT")
            await sidecar.connection.execute("BEGIN; CALL shardproxy.guard(1); COMMIT")
            await rebalance.abort(pair.installation(), 1)

    run(scenario(), 60)
    assert pair.query("left", "SELECT count(*) FROM orders") == [(101,)]
    assert pair.query("right", "SELECT count(*) FROM orders") == [(0,)]
    assert pair.left_behind() == []
    assert pair.map().moves == ()


def test_a_last_change_that_does_not_arrive_takes_the_cut_over_back(pair: Pair) -> None:
    """The target's apply worker is held up by a lock as soon as the rows are fenced."""

    async def scenario() -> None:
        async with client(pair) as sidecar:
            right = pair.installation().shards["right"].primary
            holder = await driver.connect(right.address, right.login, "a lock", timeout=10)
            await holder.execute("SELECT shardproxy.enter(0, NULL)")
            locked = asyncio.Event()

            async def hold() -> None:
                await sidecar.until("follow", "close behind")
                await holder.execute("BEGIN; LOCK TABLE shardproxy.marker IN EXCLUSIVE MODE")
                locked.set()
                await sidecar.until("arrive", "in time")
                await holder.execute("COMMIT")

            holding = asyncio.create_task(hold())
            options = MoveOptions(grace=1, max_pause=0.3)
            outcomes = await rebalance.move(pair.installation(), ACME, "right", options, sidecar.report)
            await holding
            assert outcomes[0].state == "done"
            assert locked.is_set()
            holder.terminate()

    run(scenario(), 60)
    assert pair.query("right", "SELECT count(*) FROM orders") == [(100,)]
    assert pair.left_behind() == []


def test_a_stream_that_is_lost_in_the_pause_gives_the_rows_back_and_is_made_anew(pair: Pair) -> None:
    def lose() -> None:
        pair.query("right", "ALTER SUBSCRIPTION shardproxy_move_1 DISABLE")
        pair.query("left", LOSE_SLOT)

    states: list[object] = []
    lost = At("follow", lose, "close behind")
    fenced = At("arrive", lambda: states.append(pair.query("left", "SELECT state FROM shardproxy.moving")))
    again = At("copy", lambda: states.append(pair.query("left", "SELECT state FROM shardproxy.moving")))

    def report(progress: Progress) -> None:
        lost(progress)
        fenced(progress)
        if fenced.happened:
            again(progress)

    [outcome] = pair.move("acme", options=MoveOptions(grace=1, max_pause=10), report=report)
    assert outcome.verified == "exact"
    assert states == [[("fenced",)], [("moving",)]]
    assert pair.left_behind() == []


LOSE_SLOT = """
SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database();
DO $$ BEGIN
    LOOP
        BEGIN
            PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database();
            EXIT;
        EXCEPTION WHEN object_in_use THEN
            PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database();
        END;
    END LOOP;
END $$
"""
