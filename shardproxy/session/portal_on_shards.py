"""Describe and Execute of a portal over several shards."""

from typing import TYPE_CHECKING

from shardproxy.backend.connection import ServerConnection
from shardproxy.errors import Refused, RouteAgain
from shardproxy.execute.fan_out import StaleError
from shardproxy.routing.route import FanOut
from shardproxy.session import told
from shardproxy.session.news import newer_map
from shardproxy.session.prepared import Portal
from shardproxy.session.request import Request, text_on
from shardproxy.wire import client_messages
from shardproxy.wire.server_messages import with_formats

if TYPE_CHECKING:
    from shardproxy.session.extended import Extended


async def describe(extended: "Extended", portal: Portal) -> None:
    """The description goes out. Raises PostgreSQL's error where the client was told another."""
    description = await extended.describer.learn(portal.prepared)
    if portal.prepared.told not in (None, description.shape):
        raise told.changed()
    portal.told = description.shape
    extended.emit(with_formats(description.row, portal.result_formats))


async def execute(extended: "Extended", portal: Portal, limit: int) -> None:
    """Rows and tag go out, or PortalSuspended after ``limit`` rows (0: all). Raises what a shard answered."""
    session = extended.session
    if session.link.in_group:
        raise Refused("reading several shards inside a pipeline", hint="Send Sync before it.")
    if portal.executed:
        raise Refused("fetching further rows of a portal over several shards", hint="Fetch all rows at once.")
    portal.executed = True
    session.shared.counters.proxy.fan_out += 1
    try:
        await _by_the_newest_map(extended, portal, limit)
    except StaleError:
        session.forget_stale()
        await _by_the_newest_map(extended, portal, limit)


async def _by_the_newest_map(extended: "Extended", portal: Portal, limit: int) -> None:
    session, prepared = extended.session, portal.prepared
    while True:
        epoch, route = session.shared.shard_map.epoch, portal.fan_out
        assert route is not None
        try:
            await _on_shards(extended, portal, route, limit)
        except RouteAgain:
            await newer_map(session, epoch)
            found = Request(session, prepared.text, portal.values).route(prepared.statement)
            if not isinstance(found, FanOut):
                raise
            portal.fan_out = found
        else:
            return


async def _on_shards(extended: "Extended", portal: Portal, route: FanOut, limit: int) -> None:
    session, prepared = extended.session, portal.prepared
    shape = portal.told or prepared.told
    texts = {shard: text_on(session, route, shard, portal.text) for shard in route.shards}
    names = {
        shard: portal.name if text is portal.text else prepared.name_of(text) for shard, text in texts.items()
    }

    async def hold(connection: ServerConnection, shard: int) -> None:
        if shape is not None:
            await told.hold_to(shape, extended, connection, prepared, names[shard], texts[shard])

    def bound(connection: ServerConnection, shard: int) -> bytes:
        prepare = connection.prepare(names[shard], texts[shard], prepared.oids)
        return prepare + client_messages.rename_statement(portal.bind, names[shard])

    run = session.simple.begin_fan_out(route)
    try:
        await run.extended(bound, limit, hold)
    finally:
        session.simple.fan_out = None
