"""What the map says of rows that are on two shards."""

from dataclasses import replace

from shardproxy.topology.keys import KeyFamily, bucket
from shardproxy.topology.moves import Moving
from tests.topology.maps import key_on, shard_map


def test_until_it_has_moved_the_sources_rows_count() -> None:
    move = Moving(1, source=0, target=2)
    assert (move.owner, move.stale) == (0, 2)
    moved = replace(move, moved=True)
    assert (moved.owner, moved.stale) == (2, 0)


def test_a_key_moves_by_its_name_or_with_its_bucket() -> None:
    the_map = shard_map()
    here, there = key_on(the_map, 0).encode(), key_on(the_map, 0, nth=1).encode()
    named = Moving(1, 0, 1, keys=frozenset({("tenant", here)}))
    ring = Moving(2, 0, 2, buckets=frozenset({bucket(KeyFamily.TEXT, there)}))
    the_map = replace(the_map, moves=(named, ring))
    assert the_map.move_of("tenant", KeyFamily.TEXT, here) is named
    assert the_map.move_of("tenant", KeyFamily.TEXT, there) is ring
    assert the_map.move_of("tenant", KeyFamily.TEXT, b"somebody else") is None
    assert the_map.moves_on(0) == (named, ring)
    assert the_map.moves_on(1) == (named,)


def test_a_placed_key_does_not_go_with_its_bucket() -> None:
    placed = b"back\\slash"
    move = Moving(1, 0, 1, buckets=frozenset({bucket(KeyFamily.TEXT, placed)}))
    the_map = replace(shard_map(), moves=(move,))
    assert ("tenant", placed) in the_map.placements
    assert the_map.move_of("tenant", KeyFamily.TEXT, placed) is None


def test_a_map_without_a_catalog_is_in_epoch_0_everywhere() -> None:
    assert shard_map().shard_epochs == (0, 0, 0)
