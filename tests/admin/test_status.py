"""When a proxy is ready for clients."""

from typing import Any

import pytest

from shardproxy.admin.status import CatalogStatus, ShardStatus
from shardproxy.monitor.servers import Sighting
from shardproxy.monitor.shard_health import RotationOptions, ShardHealth
from shardproxy.routing.route import Role
from tests.admin.moments import LOST_SHARD, PRIMARY, moment


def test_one_shard_with_its_primary_is_enough() -> None:
    assert moment().unready == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"draining": True}, "draining"),
        ({"listening": False}, "not listening"),
        ({"schema_known": False}, "the schema is not known yet"),
        ({"catalog": CatalogStatus("1", None, "away")}, "the catalog has not told its map yet"),
        ({"shards": (LOST_SHARD,)}, "no shard has a primary that can be reached"),
    ],
)
def test_each_thing_that_is_missing_is_named(fields: dict[str, Any], reason: str) -> None:
    assert moment(**fields).unready == (reason,)


def test_a_shard_is_shown_as_the_monitor_sees_it() -> None:
    health = ShardHealth("shard-a", [PRIMARY.server], RotationOptions())
    assert ShardStatus.of(health) == ShardStatus("shard-a", None, False, health.states)
    health.seen(PRIMARY.server, Sighting(Role.PRIMARY, timeline=1), 1.0)
    assert ShardStatus.of(health) == ShardStatus("shard-a", "p:5432", True, health.states)
