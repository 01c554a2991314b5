"""Numbers of shards stay, whatever the order in maps."""

from dataclasses import replace

from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.moves import Moving
from shardproxy.topology.numbering import extended, renumbered
from shardproxy.topology.shard_map import ShardMap
from tests.topology.maps import shard_map

TRUTH = replace(
    shard_map(), shard_epochs=(5, 6, 7), weights=(1, 2, 3), moves=(Moving(9, 0, 2, buckets=frozenset({1})),)
)


def said(the_map: ShardMap) -> object:
    """All that a map says, by names."""
    names = the_map.shards
    return (
        [names[owner] for owner in the_map.owners],
        {place: names[shard] for place, shard in the_map.placements.items()},
        names[the_map.designated],
        {names[number]: the_map.shard_epochs[number] for number in the_map.present},
        {names[number]: the_map.weights[number] for number in the_map.present},
        [(move.number, names[move.source], names[move.target], move.buckets) for move in the_map.moves],
        sorted(the_map.names),
        names[the_map.owner("tenant", KeyFamily.TEXT, b"acme")],
    )


def test_new_shards_come_last_and_nobody_changes_their_number() -> None:
    assert extended(("c", "gone", "a"), TRUTH) == ("c", "gone", "a", "b")
    assert extended((), TRUTH) == ("a", "b", "c")


def test_the_same_map_is_said_with_other_numbers() -> None:
    for names in (("a", "b", "c"), ("c", "b", "a"), ("x", "c", "a", "y", "b")):
        turned = renumbered(TRUTH, names)
        assert turned.shards == names
        assert said(turned) == said(TRUTH)
        assert [names[number] for number in turned.present] == [name for name in names if name in "abc"]


def test_numbers_of_shards_that_are_not_in_the_map_are_absent() -> None:
    turned = renumbered(TRUTH, ("x", "c", "a", "y", "b"))
    assert turned.absent == {0, 3}
    assert (turned.weights, turned.shard_epochs) == ((0, 3, 1, 0, 2), (0, 7, 5, 0, 6))


def test_a_map_in_order_is_itself() -> None:
    assert renumbered(TRUTH, TRUTH.shards) is TRUTH
