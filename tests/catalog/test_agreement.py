"""A configuration that says something else than the catalog is told in which words."""

from dataclasses import replace

import pytest

from shardproxy.catalog.agreement import Wish, differences, drift
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.shard_map import ShardMap, ShardSpec
from shardproxy.topology.tables import Local, Reference, Sharded, TableRules
from tests.topology.maps import RULES, shard_map

TRUTH = shard_map()


def with_tables(**changes: object) -> ShardMap:
    rules = {**RULES.rules, **{("public", name): rule for name, rule in changes.items()}}
    kept = {name: rule for name, rule in rules.items() if rule is not None}
    return replace(TRUTH, tables=replace(RULES, rules=kept))


def with_groups(**changes: KeyFamily | None) -> ShardMap:
    groups = {name: family for name, family in {**RULES.groups, **changes}.items() if family is not None}
    return replace(TRUTH, tables=TableRules(RULES.rules, groups, "tenant"))


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (TRUTH, []),
        (replace(TRUTH, shards=("a", "b", "x")), ["shards.c: is in the catalog and missing here; add it"]),
        (
            with_tables(orders=Sharded("customer", "tenant")),
            [
                "tables.public.orders: is sharded by customer, group tenant here "
                "and sharded by tenant_id, group tenant in the catalog"
            ],
        ),
        (
            with_tables(audit=Local("a"), currencies=Local("b")),
            [
                "tables.public.audit: is local to a here and local to b in the catalog",
                "tables.public.currencies: is local to b here and a reference table in the catalog",
            ],
        ),
        (with_tables(more=Reference()), ["tables.public.more: is not in the catalog"]),
        (
            with_tables(currencies=None),
            ["tables.public.currencies: is in the catalog (a reference table) and missing here"],
        ),
        (
            with_groups(device=KeyFamily.UUID),
            ["groups.device: has uuid keys here and integer keys in the catalog"],
        ),
        (with_groups(more=KeyFamily.TEXT), ["groups.more: is not in the catalog"]),
        (with_groups(device=None), ["groups.device: is in the catalog (integer keys) and missing here"]),
        (replace(TRUTH, designated=1), []),
        (
            replace(TRUTH, tables=replace(RULES, tenant_group="device")),
            ["tenant_group: is device here and tenant in the catalog"],
        ),
    ],
)
def test_every_difference_is_said(wish: ShardMap, expected: list[str]) -> None:
    assert [str(difference) for difference in differences(Wish(wish), TRUTH)] == expected


def test_wishes_are_no_difference() -> None:
    wish = shard_map((ShardSpec("a", 5), ShardSpec("b"), ShardSpec("c"), ShardSpec("new")), {})
    assert differences(Wish(wish), TRUTH) == ()
    new, buckets, placements = drift(Wish(wish), TRUTH)
    assert new == "not in the catalog yet, and not used: new"
    assert buckets.endswith("buckets are on other shards than the ring would put them on")
    assert placements == "3 placements differ"
    assert drift(Wish(TRUTH), TRUTH) == ()


def test_the_order_of_shards_is_nobodys_business() -> None:
    """Only their names are: the sidecar arranges its own as the catalog has them."""
    wish = shard_map((ShardSpec("c"), ShardSpec("b"), ShardSpec("a")))
    assert differences(Wish(wish), TRUTH) == ()
    assert drift(Wish(wish), TRUTH) == ()


def test_a_designated_shard_counts_where_it_is_named() -> None:
    assert differences(Wish(TRUTH, "a"), TRUTH) == ()
    (difference,) = differences(Wish(TRUTH, "b"), TRUTH)
    assert str(difference) == "designated: is b here and a in the catalog"
