"""How a move changes the map, and which moves the map does not allow. Pure values."""

from dataclasses import replace

import pytest

from shardproxy.catalog.journal import Buckets, Keys
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.what import MapConflict, announced, flipped, named, sources, without
from shardproxy.topology.keys import KeyFamily, bucket
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap
from tests.support import sample

MAP = sample.shard_map()
ACME = ("tenant", b"acme")
HOOLI = ("tenant", b"hooli")  # placed on shard-b
HOME = MAP.owner("tenant", KeyFamily.TEXT, b"acme")
AWAY = (HOME + 1) % 3


def move_of(*keys: tuple[str, bytes], number: int = 1, source: int = HOME, target: int = AWAY) -> Moving:
    return Moving(number, source, target, frozenset(keys))


def moved(shard_map: ShardMap, move: Moving) -> ShardMap:
    return without(flipped(announced(shard_map, move), move), move.number)


def test_a_key_that_leaves_its_home_gets_a_placement_and_loses_it_when_it_comes_back() -> None:
    gone = moved(MAP, move_of(ACME))
    assert gone.placements == {**MAP.placements, ACME: AWAY}
    assert gone.moves == ()
    back = moved(gone, move_of(ACME, source=AWAY, target=HOME))
    assert back.placements == MAP.placements


def test_before_the_flip_the_source_counts_and_afterwards_the_target() -> None:
    move = move_of(ACME)
    before = announced(MAP, move)
    assert before.owner("tenant", KeyFamily.TEXT, b"acme") == HOME
    assert before.moves[0].stale == AWAY
    after = flipped(before, move)
    assert after.owner("tenant", KeyFamily.TEXT, b"acme") == AWAY
    assert after.moves[0].stale == HOME
    assert announced(before, move) == before


def test_buckets_change_their_owner_and_placements_stay() -> None:
    mine = frozenset(number for number, owner in enumerate(MAP.owners) if owner == HOME)
    after = moved(MAP, Moving(1, HOME, AWAY, buckets=mine))
    assert HOME not in after.owners
    assert MAP.owners.count(HOME) == len(mine)
    assert after.placements == MAP.placements


def test_a_key_that_comes_home_to_a_bucket_on_its_way_keeps_its_placement() -> None:
    """The bucket's move was begun without the key: it must not belong to it in the middle."""
    gone = moved(MAP, move_of(ACME))
    at_home = bucket(KeyFamily.TEXT, b"acme")
    busy = announced(gone, Moving(2, HOME, AWAY, buckets=frozenset((at_home,))))
    back = moved(busy, move_of(ACME, number=3, source=AWAY, target=HOME))
    assert back.placements[ACME] == HOME


@pytest.mark.parametrize(
    ("shard_map", "move", "said"),
    [
        (MAP, move_of(HOOLI, source=2, target=0), "hooli is on shard shard-b, not on shard-c"),
        (MAP, move_of(ACME, target=HOME), "owns it already"),
        (announced(MAP, move_of(ACME)), move_of(ACME, number=2), "acme is moving already: move 1"),
        (
            announced(MAP, Moving(1, HOME, AWAY, buckets=frozenset((bucket(KeyFamily.TEXT, b"acme"),)))),
            move_of(ACME, number=2),
            "acme is moving already: move 1",
        ),
        (
            announced(MAP, move_of(ACME)),
            Moving(2, HOME, AWAY, buckets=frozenset((bucket(KeyFamily.TEXT, b"acme"),))),
            "acme is moving already: move 1",
        ),
        (
            announced(MAP, Moving(1, HOME, AWAY, buckets=frozenset((MAP.owners.index(HOME),)))),
            Moving(2, HOME, AWAY, buckets=frozenset((MAP.owners.index(HOME),))),
            "1 of the buckets are moving already: move 1",
        ),
        (
            MAP,
            Moving(1, HOME, AWAY, buckets=frozenset((MAP.owners.index(AWAY),))),
            "1 of the buckets are not on",
        ),
    ],
)
def test_what_the_map_does_not_allow(shard_map: ShardMap, move: Moving, said: str) -> None:
    with pytest.raises(MapConflict) as conflict:
        announced(shard_map, move)
    assert said in conflict.value.message


def test_a_placed_key_and_the_bucket_it_would_be_in_may_move_at_the_same_time() -> None:
    placed = replace(MAP, placements={**MAP.placements, ACME: HOME})
    busy = announced(placed, move_of(ACME))
    assert announced(busy, Moving(2, HOME, AWAY, buckets=frozenset((bucket(KeyFamily.TEXT, b"acme"),)))).moves


def test_a_move_that_is_not_announced_cannot_be_flipped_nor_twice() -> None:
    move = move_of(ACME)
    with pytest.raises(MapConflict):
        flipped(MAP, move)
    with pytest.raises(MapConflict):
        flipped(flipped(announced(MAP, move), move), move)


def test_what_is_on_several_shards_is_taken_apart() -> None:
    parts = sources(MAP, Keys("tenant", ("acme", "hooli", "acme")))
    assert parts[HOME] == Keys("tenant", ("acme",))
    assert parts[1] == Keys("tenant", ("hooli",))
    buckets = sources(MAP, Buckets((5, 3, 5)))
    assert sorted(number for part in buckets.values() for number in part.buckets) == [3, 5]
    for wrong in (Buckets((16_384,)), Keys("nobody", ("x",)), Keys("device", ("x",))):
        with pytest.raises(ShardproxyError):
            sources(MAP, wrong)


def test_what_moves_in_a_few_words() -> None:
    assert named(Keys("tenant", tuple("abcdefg"))) == "a, b, c, d, e and 2 more"
    assert named(Buckets((1, 2))) == "2 buckets"
