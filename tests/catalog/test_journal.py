"""The journal keeps what a resumed move needs, and what people want to read."""

import pytest

from shardproxy.catalog import journal
from shardproxy.catalog.journal import Buckets, Keys, MoveState
from shardproxy.errors import ShardproxyError
from tests.catalog.fenced import Fenced
from tests.support.aio import run


def test_a_move_is_read_as_it_was_written(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as catalog:
            what = Keys("tenant", ("acme", "big 'one'", 'q"q'))
            made = await journal.create(
                catalog, "shard-a", "shard-b", what, step="planned", options={"rate": 5}
            )
            assert made.number == 1
            assert (made.source, made.target, made.what, made.step) == ("shard-a", "shard-b", what, "planned")
            assert (made.state, made.options, made.facts, made.failure) == (
                MoveState.RUNNING,
                {"rate": 5},
                {},
                None,
            )
            assert await journal.read(catalog, 1) == made
            buckets = await journal.create(catalog, "shard-b", "shard-a", Buckets((7, 3)), step="planned")
            assert buckets.what == Buckets((3, 7))

    run(main())


def test_steps_states_facts_and_failures_are_kept(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as catalog:
            move = await journal.create(catalog, "shard-a", "shard-b", Buckets((1,)), step="planned")
            await journal.update(catalog, move.number, step="copy", facts={"slot": "s"})
            later = await journal.update(
                catalog, move.number, facts={"lsn": "0/1"}, failure="the source is away"
            )
            assert (later.step, later.facts, later.failure) == (
                "copy",
                {"slot": "s", "lsn": "0/1"},
                "the source is away",
            )
            assert later.updated > move.updated
            assert not later.has_ended
            ended = await journal.update(catalog, move.number, state=MoveState.ABORTED)
            assert (ended.state, ended.failure, ended.has_ended) == (MoveState.ABORTED, None, True)

    run(main())


def test_moves_are_found_by_their_state(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as catalog:
            first, second, third = [
                await journal.create(catalog, "shard-a", "shard-b", Buckets((i,)), step="planned")
                for i in range(3)
            ]
            await journal.update(catalog, second.number, state=MoveState.DONE)
            await journal.update(catalog, third.number, state=MoveState.ABORTING)
            unfinished = await journal.unfinished(catalog)
            assert [move.number for move in unfinished] == [first.number, third.number]
            assert [move.number for move in await journal.moves(catalog)] == [3, 2, 1]
            with pytest.raises(ShardproxyError, match="no move 17"):
                await journal.read(catalog, 17)
            with pytest.raises(ShardproxyError, match="no move 17"):
                await journal.update(catalog, 17, step="copy")

    run(main())


def test_the_log_keeps_its_order(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as catalog:
            move = await journal.create(catalog, "shard-a", "shard-b", Buckets((1,)), step="planned")
            for what in ("begun", "copied 3 rows"):
                await journal.log(catalog, move.number, "copy", what)
            lines = [(entry.step, entry.what) for entry in await journal.entries(catalog, move.number)]
            assert lines == [("copy", "begun"), ("copy", "copied 3 rows")]

    run(main())
