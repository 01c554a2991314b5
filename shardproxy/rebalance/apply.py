"""``shardproxy apply``: the map becomes what a configuration says, by the functions of the other commands."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import asyncpg

from shardproxy.catalog import epochs, maps
from shardproxy.catalog.agreement import Wish
from shardproxy.catalog.connect import connect
from shardproxy.catalog.journal import Keys
from shardproxy.rebalance import membership
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.connections import open_catalog
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.obstacles import Obstacle, Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.plan import Plan, Size, make_plan
from shardproxy.rebalance.progress import Report, silent
from shardproxy.rebalance.ring import to_aim
from shardproxy.rebalance.rules import (
    Connections,
    RulesChange,
    never,
    rules_change,
    rules_obstacles,
    with_rows,
)
from shardproxy.rebalance.series import Manner, run_series
from shardproxy.rebalance.sizes import measure
from shardproxy.rebalance.tables import ROW_SETTINGS, label
from shardproxy.topology.keys import to_text
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import TableRules

APPLICATION_NAME: Final = "shardproxy apply"
REFUSED: Final = "the configuration cannot be applied"


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """From the map in force to the ``wish``. ``placements`` are tenants by their group and shard; ``moves``
    says what that moves. ``weights`` and ``vnodes`` are those that change, of shards that stay; ``buckets``,
    of ``size``, are those that the ring wants elsewhere then.
    """

    shard_map: ShardMap
    wish: Wish
    add: tuple[str, ...] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    vnodes: int | None = None
    rules: RulesChange | None = None
    placements: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    moves: tuple[Plan, ...] = ()
    buckets: int = 0
    size: Size = field(default_factory=Size)
    obstacles: tuple[Obstacle, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sentences)

    @property
    def sentences(self) -> list[str]:
        """What would be done, in order."""
        said = [f"shard {name}: new, with weight {self._weight(name)}" for name in self.add]
        if self.rules is not None:
            said += self.rules.sentences(self.shard_map.tables)
        said += [f"shard {name}: weight {weight}" for name, weight in self.weights.items()]
        if self.vnodes is not None:
            said.append(f"ring: {self.vnodes} virtual nodes instead of {self.shard_map.vnodes}")
        said += [f"{', '.join(keys)}: placed on {shard}" for (_, shard), keys in self.placements.items()]
        return said

    @property
    def changes_ring(self) -> bool:
        """Buckets have to move."""
        return bool(self.add or self.weights) or self.vnodes is not None

    def aimed(self, shard_map: ShardMap) -> ShardMap:
        """The map with the shards and weights of the wish."""
        for name in self.add:
            shard_map = membership.with_shard(shard_map, name, self._weight(name))
        return _aiming(shard_map, self)

    def _weight(self, name: str) -> int:
        wish = self.wish.shard_map
        return wish.weights[wish.index[name]]

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "steps": self.sentences,
            "moves": [plan.to_json() for plan in self.moves],
            "buckets": self.buckets,
            "rows": self.size.rows,
            "bytes": self.size.bytes,
            "obstacles": [{"what": each.what, "remedy": each.remedy} for each in self.obstacles],
        }


async def plan_apply(
    installation: Installation, wish: Wish, roles: Mapping[str, str], options: MoveOptions
) -> ApplyPlan:
    """What would be done, and what is in the way; nothing is changed. ``roles``: the sidecars' on each shard.

    Raises ShardproxyError and driver.FAULTS.
    """
    async with _open(installation) as (_, shard_map, shards):
        wanted = wish.shard_map
        add = tuple(name for name in wanted.shards if name not in shard_map.index)
        rules = rules_change(shard_map, wanted.tables)
        obstacles = never(shard_map, wanted.tables)
        designated = shard_map.shards[shard_map.designated]
        if wish.designated not in (None, designated):
            obstacles.append(Obstacle(f"the designated shard is {designated}", "it stays; correct the file"))
        obstacles += [
            Obstacle(f"{name} is in the map and not in the file", f"add it, or shard remove {name}")
            for name in shard_map.shards
            if name not in wanted.index
        ]
        if not obstacles:
            obstacles += await rules_obstacles(shards, shard_map, rules)
    for name in add:
        change = await membership.add(installation, name, roles[name], dry_run=True)
        obstacles += [each for each in change.obstacles if not each.warning]
    placements = _placements(shard_map, wanted)
    moves = []
    if not obstacles:
        for (group, shard), keys in placements.items():
            if shard not in add:  # what moves there is known when it is there
                moves.append(await make_plan(installation, Keys(group, keys), shard, options))
    obstacles += [each for plan in moves for each in plan.obstacles]
    plan = ApplyPlan(
        shard_map,
        wish,
        add,
        {
            name: weight
            for name, weight in zip(wanted.shards, wanted.weights, strict=True)
            if name in shard_map.index and shard_map.weights[shard_map.index[name]] != weight
        },
        None if wanted.vnodes == shard_map.vnodes else wanted.vnodes,
        rules,
        placements,
        tuple(moves),
        obstacles=tuple(obstacles),
    )
    if obstacles or not plan.changes_ring:
        return plan
    goal = to_aim(plan.aimed(shard_map))
    sizes = await measure(installation, shard_map, goal, silent)
    return replace(plan, buckets=len(goal.buckets), size=sizes.of(goal))


async def apply(
    installation: Installation,
    plan: ApplyPlan,
    roles: Mapping[str, str],
    options: MoveOptions,
    report: Report = silent,
) -> ShardMap:
    """Carry it out; the map afterwards. Raises Obstructed and what the other commands raise; what was done
    stays, and it can be run again.
    """
    if plan.obstacles:
        raise Obstructed(plan.obstacles, REFUSED)
    for name in plan.add:
        wish = plan.wish.shard_map
        await membership.add(installation, name, roles[name], wish.weights[wish.index[name]])
    if plan.rules:
        await _change_rules(installation, plan.rules, options)
    if plan.weights or plan.vnodes is not None:
        async with _open(installation) as (catalog, _, _):
            await maps.publish(catalog, lambda before: _aiming(before, plan), "apply: the ring", {})
    if plan.changes_ring:
        await run_series(installation, to_aim, Manner(options), report)
    for (group, shard), keys in plan.placements.items():
        await rebalance.move(installation, Keys(group, keys), shard, options, report)
    async with _open(installation) as (_, shard_map, _):
        return shard_map


async def _change_rules(installation: Installation, change: RulesChange, options: MoveOptions) -> None:
    """First without the rules that change, until nobody knows them any more; then with the new ones."""
    async with _open(installation) as (catalog, shard_map, shards):
        found = await rules_obstacles(shards, shard_map, change)
        if found:
            raise Obstructed(found, REFUSED)
        before = shard_map.tables
        if change.changed or change.gone:
            out = {*change.changed, *change.gone}
            without = {name: rule for name, rule in before.rules.items() if name not in out}
            published = await maps.publish(
                catalog,
                lambda now: _ruled(now, replace(before, rules=without), shard_map),
                "apply: tables whose rules change",
                shards,
            )
            for name in published.shards:
                spec = installation.shard(name)
                await epochs.retire(spec, published.epoch, grace=options.grace)
            written = [table for table in change.changed if await with_rows(shards, table)]
            if written:
                await maps.publish(
                    catalog, lambda now: replace(now, tables=before), "apply: taken back", shards
                )
                raise Obstructed(
                    [Obstacle(f"{label(table)} got rows meanwhile", "empty it") for table in written], REFUSED
                )
            shard_map = published
        await maps.publish(
            catalog, lambda now: _ruled(now, change.wanted, shard_map), "apply: tables", shards
        )


def _ruled(now: ShardMap, rules: TableRules, known: ShardMap) -> ShardMap:
    """The map with these rules, unless somebody else has changed those that are ``known``."""
    if not now.tables.spread_as(known.tables) or now.moves:
        raise maps.MapChanged("tables or moves have changed meanwhile; run it again")
    return replace(now, tables=replace(rules, trusted=now.tables.trusted))


def _aiming(before: ShardMap, plan: ApplyPlan) -> ShardMap:
    weights = tuple(
        plan.weights.get(name, weight) for name, weight in zip(before.shards, before.weights, strict=True)
    )
    return replace(before, weights=weights, vnodes=plan.vnodes or before.vnodes)


def _placements(shard_map: ShardMap, wanted: ShardMap) -> dict[tuple[str, str], tuple[str, ...]]:
    """Keys that the wish places elsewhere than they are, by group and shard. What it does not name stays."""
    found: dict[tuple[str, str], list[str]] = {}
    for (group, key), shard in sorted(wanted.placements.items()):
        family = wanted.tables.groups[group]
        name = wanted.shards[shard]
        known = group in shard_map.tables.groups
        if known and shard_map.shards[shard_map.owner(group, family, key)] == name:
            continue
        found.setdefault((group, name), []).append(to_text(family, key))
    return {where: tuple(keys) for where, keys in found.items()}


@asynccontextmanager
async def _open(
    installation: Installation,
) -> AsyncIterator[tuple[asyncpg.Connection, ShardMap, Connections]]:
    """The catalog, its map, and connections to all its shards."""
    async with AsyncExitStack() as stack:
        catalog = await open_catalog(installation, APPLICATION_NAME)
        stack.callback(catalog.terminate)
        shard_map = await maps.read(catalog)
        shards = {}
        for name in (each for each in shard_map.shards if each in installation.shards):
            primary = installation.shard(name).primary
            shards[name] = await connect(primary, APPLICATION_NAME, settings=ROW_SETTINGS)
            stack.callback(shards[name].terminate)
        yield catalog, shard_map, shards
