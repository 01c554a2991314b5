"""The map that comes out of the catalog is the map that went in, and nothing else is taken for one."""

import json
import zlib
from array import array
from base64 import b64encode
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardproxy.errors import ConfigError
from shardproxy.topology.keys import BUCKETS
from shardproxy.topology.map_document import from_document, to_document
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap
from tests.topology.maps import same, shard_map

PLACED = st.one_of(
    st.tuples(
        st.just("tenant"),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(str.encode),
    ),
    st.tuples(st.just("device"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("document"), st.binary(min_size=16, max_size=16)),
)
THE_MAP = shard_map()
MOVES = st.builds(
    Moving,
    number=st.integers(1, 2**31 - 1),
    source=st.just(0),
    target=st.integers(1, 2),
    keys=st.frozensets(PLACED, max_size=5),
    buckets=st.frozensets(st.integers(0, BUCKETS - 1), max_size=20),
    moved=st.booleans(),
)


def through_json(the_map: ShardMap) -> ShardMap:
    return from_document(json.loads(json.dumps(to_document(the_map))), the_map.epoch)


@settings(deadline=None)  # it makes 16,384 buckets each time, on machines that do other things too
@given(
    st.integers(0, 2**32),
    st.dictionaries(PLACED, st.integers(0, 2), max_size=8),
    st.lists(MOVES, max_size=3),
    st.integers(1, 2**31 - 1),
)
def test_a_map_survives_its_document(
    seed: int, placements: dict[Any, int], moves: list[Moving], epoch: int
) -> None:
    the_map = replace(
        THE_MAP,
        owners=array("H", Random(seed).choices(range(3), k=BUCKETS)),
        placements=placements,
        moves=tuple(moves),
        epoch=epoch,
        shard_epochs=(epoch, 1, 0),
        weights=(epoch, 0, 2),
        vnodes=epoch,
        evened=frozenset((seed % BUCKETS, 5)),
    )
    assert same(through_json(the_map), the_map)


def test_the_same_map_has_the_same_document() -> None:
    the_map = shard_map()
    other_order = dict(reversed(list(the_map.placements.items())))
    assert to_document(replace(the_map, placements=other_order)) == to_document(the_map)


@pytest.mark.parametrize(
    "damage",
    [
        {"layout": 1},
        {"layout": None},
        {"owners": "AAAA"},
        {"owners": "not base64!"},
        {"owners": 7},
        {"shards": ["a"]},
        {"weights": [1, 1]},
        {"weights": [1, 1, -1]},
        {"vnodes": "many"},
        {"evened": [BUCKETS]},
        {"designated": "z"},
        {"placements": [["tenant", "x", "z"]]},
        {"placements": [["nobody", "x", "a"]]},
        {"placements": [["device", "x", "a"]]},
        {"tables": [["public", "orders", {}, 1]]},
        {"groups": {"tenant": "float"}},
        {"moves": [{"move": 1}]},
    ],
    ids=str,
)
def test_a_damaged_document_is_not_a_map(damage: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        from_document(to_document(shard_map()) | damage, 1)


def test_a_document_that_says_too_much_is_not_inflated() -> None:
    bomb = b64encode(zlib.compress(bytes(50_000_000))).decode()
    with pytest.raises(ConfigError, match="not 16384 buckets"):
        from_document(to_document(shard_map()) | {"owners": bomb}, 1)


def test_a_document_from_before_shards_were_evened_has_no_such_buckets() -> None:
    document = to_document(replace(THE_MAP, evened=frozenset((1,))))
    del document["evened"]
    assert from_document(document, 1).evened == frozenset()
