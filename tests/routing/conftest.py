"""The shard map that routing's tests run on: shards a, b and c."""

import pytest

from shardproxy.topology.shard_map import ShardMap
from tests.topology import maps


@pytest.fixture(scope="session")
def the_map() -> ShardMap:
    return maps.shard_map()
