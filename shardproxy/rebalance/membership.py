"""Shards that come and go. A new one owns nothing, and one that is removed owns nothing any more: rows move
before and afterwards.
"""

from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import asyncpg

from shardproxy.catalog import epochs, install, journal, maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.look import look
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.admission import admission_obstacles, tables_with_rows
from shardproxy.rebalance.connections import check_shard, open_catalog
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.obstacles import Obstacle, Obstructed
from shardproxy.rebalance.plan import Size
from shardproxy.rebalance.progress import silent
from shardproxy.rebalance.reference import fill
from shardproxy.rebalance.ring import to_aim
from shardproxy.rebalance.sizes import measure
from shardproxy.rebalance.tables import ROW_SETTINGS, label
from shardproxy.topology.numbering import renumbered
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local

APPLICATION_NAME: Final = "shardproxy shard"

Tell = Callable[[str], None]

_DROP: Final = "SET lock_timeout = '10s'; DROP SCHEMA IF EXISTS shardproxy CASCADE"


@dataclass(frozen=True, slots=True)
class Change:
    """What ``shard add`` or ``shard remove`` does. ``obstacles`` are all, warnings too; ``epoch`` is of the
    map that was published for it, None where nothing was done. ``buckets``, of ``size``, are those that would
    move afterwards, where it was only planned.
    """

    shard: str
    obstacles: tuple[Obstacle, ...]
    epoch: int | None = None
    buckets: int = 0
    size: Size = field(default_factory=Size)

    @property
    def blocked(self) -> bool:
        """Something is in the way."""
        return any(not each.warning for each in self.obstacles)


async def add(
    installation: Installation,
    name: str,
    role: str,
    weight: int = 1,
    *,
    copy_reference: bool = False,
    dry_run: bool = False,
    tell: Tell = lambda _: None,
) -> Change:
    """Put a shard that the configuration has into the map, with ``weight`` and without a bucket.

    ``role`` is the sidecars' there. Raises Obstructed, ShardproxyError for a name that cannot be, and
    driver.FAULTS; it can be run again after any failure.
    """
    async with _open(installation) as catalog:
        shard_map = await maps.read(catalog)
        _check_new(shard_map, name)
        model_name = shard_map.shards[shard_map.designated]
        async with _shard(installation, model_name) as model, _shard(installation, name) as new:
            tell(f"comparing {name} with {model_name}")
            await check_shard(model, catalog, model_name)
            change = Change(
                name,
                tuple(
                    await admission_obstacles(
                        catalog,
                        model,
                        new,
                        shard_map,
                        (model_name, name),
                        role,
                        copies_reference=copy_reference,
                    )
                ),
            )
            if dry_run and not change.blocked:
                goal = to_aim(with_shard(shard_map, name, weight))
                sizes = await measure(installation, shard_map, goal, silent)
                return replace(change, buckets=len(goal.buckets), size=sizes.of(goal))
            if dry_run:
                return change
            if change.blocked:
                raise Obstructed(
                    (each for each in change.obstacles if not each.warning), f"shard {name} cannot be added"
                )
            if copy_reference and (rows := await fill(model, new, shard_map)):
                tell(f"copied {rows} rows of reference tables")
            await _install_fence(installation, catalog, name, role, shard_map)
            published = await maps.publish(
                catalog, lambda before: with_shard(before, name, weight), f"shard add {name}", {name: new}
            )
            return replace(change, epoch=published.epoch)


async def remove(
    installation: Installation,
    name: str,
    *,
    grace: float = 30.0,
    dry_run: bool = False,
    tell: Tell = lambda _: None,
) -> Change:
    """Take a shard that owns nothing out of the map, and then its fence. Errors as of :func:`add`.

    Sessions of sidecars that do not let go of it within ``grace`` seconds are ended.
    """
    async with _open(installation) as catalog, _shard(installation, name) as leaving:
        shard_map = await maps.read(catalog)
        await check_shard(leaving, catalog, name)
        change = Change(name, ())
        epoch = 0
        if name in shard_map.index:
            found = _owned(shard_map, name, installation.catalog)
            found += [] if shard_map.moves else await _unfinished(catalog, name)
            found += [
                Obstacle(
                    f"{label(table)} has rows on {name}", "see shardproxy check --live; delete them there"
                )
                for table in (await tables_with_rows(leaving, shard_map) if not found else ())
            ]
            change = Change(name, tuple(found))
            if dry_run:
                return change
            if found:
                raise Obstructed(found, f"shard {name} cannot be removed")
            published = await maps.publish(
                catalog,
                lambda before: without_shard(before, name, installation.catalog),
                f"shard remove {name}",
                {name: leaving},
            )
            epoch = published.epoch
        elif dry_run:
            return change
        await _give_up(installation, leaving, name, grace, tell)
        return replace(change, epoch=epoch or None)


async def _give_up(
    installation: Installation, leaving: asyncpg.Connection, name: str, grace: float, tell: Tell
) -> None:
    """Return when nobody uses the shard any more and its fence is gone."""
    fence = (await look(leaving)).fence
    assert fence is not None

    def waiting(for_whom: epochs.Waiting) -> None:
        if said := str(for_whom):
            tell(f"waiting for {said}")

    await epochs.retire(installation.shard(name), fence.newest_epoch, grace=grace, on_progress=waiting)
    await leaving.execute(_DROP)


def with_shard(shard_map: ShardMap, name: str, weight: int) -> ShardMap:
    """The map with one more shard, the last, that owns nothing. Raises ShardproxyError if it is there."""
    _check_new(shard_map, name)
    more = renumbered(shard_map, (*shard_map.shards, name))
    return replace(more, weights=(*shard_map.weights, weight), absent=frozenset())


def without_shard(shard_map: ShardMap, name: str, catalog: str) -> ShardMap:
    """The map without a shard. Raises Obstructed unless it owns nothing, and nothing moves there."""
    if found := _owned(shard_map, name, catalog):
        raise Obstructed(found, f"shard {name} cannot be removed")
    gone = shard_map.index[name]
    number = {old: old - (old > gone) for old in range(len(shard_map.shards)) if old != gone}

    def kept(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*values[:gone], *values[gone + 1 :])

    return replace(
        shard_map,
        shards=kept(shard_map.shards),
        owners=array(shard_map.owners.typecode, (number[owner] for owner in shard_map.owners)),
        placements={place: number[shard] for place, shard in shard_map.placements.items()},
        designated=number[shard_map.designated],
        shard_epochs=kept(shard_map.shard_epochs),
        weights=kept(shard_map.weights),
    )


def _check_new(shard_map: ShardMap, name: str) -> None:
    if name in shard_map.index:
        raise ShardproxyError(
            f'the shard "{name}" is in the map already',
            sqlstate="42710",
            hint="shardproxy rebalance moves rows to it.",
        )


def _owned(shard_map: ShardMap, name: str, catalog: str) -> list[Obstacle]:
    """Why the map cannot be without the shard."""
    shard, found = shard_map.index[name], []
    drain = f"shardproxy shard drain {name}"
    if name == catalog:
        found.append(Obstacle(f"{name} has the catalog", "it stays for as long as the installation"))
    if shard == shard_map.designated:
        found.append(Obstacle(f"{name} is the designated shard", "it stays"))
    if buckets := sum(owner == shard for owner in shard_map.owners):
        found.append(Obstacle(f"{name} owns {buckets} buckets", drain))
    if placed := sum(at == shard for at in shard_map.placements.values()):
        found.append(Obstacle(f"{placed} placements are on {name}", f"{drain}, or shardproxy tenant move"))
    for table, rule in shard_map.tables.rules.items():
        if rule == Local(name):
            found.append(Obstacle(f"the table {label(table)} is local to {name}", "make it local elsewhere"))
    for move in shard_map.moves:  # whoever drives it knows shards by their numbers
        found.append(
            Obstacle(f"move {move.number} is not finished", f"shardproxy moves resume {move.number}")
        )
    if not any(weight for at, weight in enumerate(shard_map.weights) if at != shard):
        found.append(Obstacle("no other shard has a weight", "shardproxy shard weight"))
    return found


async def _unfinished(catalog: asyncpg.Connection, name: str) -> list[Obstacle]:
    """Moves that have begun and that the map does not list yet, or not any more."""
    return [
        Obstacle(f"move {move.number} is not finished", f"shardproxy moves resume {move.number}, or abort")
        for move in await journal.unfinished(catalog)
        if name in (move.source, move.target)
    ]


async def _install_fence(
    installation: Installation, catalog: asyncpg.Connection, name: str, role: str, shard_map: ShardMap
) -> None:
    ours = (await look(catalog)).fence
    assert ours is not None
    target = install.Target(name, installation.shard(name).primary, role)
    steps = (install.Step(name, install.FENCE),)
    await install.install(install.Plan(ours.installation, steps), [target], shard_map)


@asynccontextmanager
async def _open(installation: Installation) -> AsyncIterator[asyncpg.Connection]:
    catalog = await open_catalog(installation, APPLICATION_NAME)
    try:
        yield catalog
    finally:
        catalog.terminate()


@asynccontextmanager
async def _shard(installation: Installation, name: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a shard's primary under which rows have the same text everywhere."""
    primary = installation.shard(name).primary
    connection = await connect(primary, APPLICATION_NAME, settings=ROW_SETTINGS)
    try:
        yield connection
    finally:
        connection.terminate()
