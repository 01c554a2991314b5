"""The monitor against real servers: that it tells who is what, and how soon it notices."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import asyncpg
import pytest

from shardproxy.backend.server import Login
from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.monitor.health import HealthMonitor, HealthOptions
from shardproxy.monitor.servers import ServerState
from shardproxy.monitor.shard_health import RotationOptions
from shardproxy.routing.route import Role
from shardproxy.secret import Secret
from tests.monitor.watching import watched, watching
from tests.support import aio

DETECTION = 2.5
"""Seconds: the promise for a dead or hanging server."""


def start_pair(run: Run) -> tuple[Server, Server]:
    """A primary and its replica."""
    primary = Server.create(run, "primary", auth="trust").start()
    primary.query("CREATE TABLE t (x int); CREATE ROLE plain LOGIN")
    replica = primary.basebackup("replica").start()
    replica.wait_for_replay(primary)
    return primary, replica


@pytest.fixture(scope="module")
def pair(install: Install) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica; a test leaves them running, and the replica a replica."""
    with Run(install) as run:
        yield start_pair(run)


def test_roles_are_seen_with_a_plain_login_role(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    servers = (watched(primary, Role.PRIMARY, user="plain"), watched(replica, Role.REPLICA, user="plain"))

    async def look() -> None:
        async with watching(*servers) as watch:
            await watch.until(lambda: watch.shard.rotation == (servers[1],))
            first, second = watch.shard.states
            assert (first.reachable, first.role, first.timeline) == (True, Role.PRIMARY, 1)
            assert (second.reachable, second.role) == (True, Role.REPLICA)
            assert first.system_identifier == second.system_identifier is not None
            assert second.lag_seconds == 0.0
            assert watch.shard.primary == servers[0]

    aio.run(look())


def test_a_probe_logs_in_with_a_password_and_never_tells_it(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server.create(run, "guarded", auth="scram-sha-256").start()
    server.query("CREATE ROLE watcher LOGIN PASSWORD 'correct horse'")

    async def look(password: Secret | None) -> ServerState:
        login = Login("watcher", "postgres", password)
        told = replace(watched(server, Role.PRIMARY), login=login)
        async with watching(told) as watch:
            return watch.monitor.states[0]

    assert aio.run(look(Secret("correct horse"))).reachable
    with caplog.at_level(logging.DEBUG):
        refused = aio.run(look(Secret("wrong horse")))
    assert "password authentication failed" in (refused.failure or "")
    assert "password authentication failed" in caplog.text
    assert "wrong horse" not in caplog.text + repr(refused)


def test_start_returns_when_every_server_was_looked_at_even_one_that_is_down(run: Run) -> None:
    server = Server.create(run, "never-started", auth="trust")

    async def look() -> None:
        async with watching(watched(server, Role.PRIMARY)) as watch:
            (state,) = watch.monitor.states
            assert not state.reachable
            assert "Connect" in (state.failure or "")
            assert watch.shard.primary is None

    aio.run(look())


def test_probes_are_seen_by_name_and_end_with_the_monitor(primary: Server) -> None:
    mine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shardproxy monitor'"
    there = "SELECT EXISTS (SELECT FROM pg_stat_get_activity($1))"  # one transaction sees one moment

    async def look() -> None:
        observer = await asyncpg.connect(primary.dsn(), ssl=False)
        async with watching(watched(primary, Role.PRIMARY)):
            (probe,) = await observer.fetch(mine)
        async with asyncio.timeout(10):
            while await observer.fetchval(there, probe["pid"]):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
        await observer.close()

    aio.run(look())


def test_a_killed_primary_is_noticed_at_once_and_seen_again_when_it_is_back(
    pair: tuple[Server, Server],
) -> None:
    primary, replica = pair
    servers = (watched(primary, Role.PRIMARY), watched(replica, Role.REPLICA))

    async def look() -> None:
        # So rarely looked at that only the end of the connection can tell.
        async with watching(*servers, options=HealthOptions(interval=3.0)) as watch:
            primary.kill()
            assert await watch.until(lambda: watch.shard.primary is None) < 1.5
            await asyncio.to_thread(primary.start)
            await watch.until(lambda: watch.shard.primary == servers[0])

    aio.run(look())


@pytest.mark.parametrize("role", [Role.PRIMARY, Role.REPLICA])
def test_a_server_that_hangs_is_noticed_and_seen_again_when_it_goes_on(
    pair: tuple[Server, Server], role: Role
) -> None:
    primary, replica = pair
    hanging = primary if role is Role.PRIMARY else replica
    servers = (watched(primary, Role.PRIMARY), watched(replica, Role.REPLICA))

    async def look() -> None:
        async with watching(*servers) as watch:
            await watch.until(lambda: watch.shard.rotation == (servers[1],))
            name = watched(hanging, role).name
            hanging.pause()
            try:
                took = await watch.until(lambda: not watch.shard.state(name).reachable)
            finally:
                hanging.resume()
            assert took < DETECTION
            assert watch.shard.state(name).failure == "no answer in time"
            if role is Role.REPLICA:
                assert watch.shard.rotation == ()
                assert watch.shard.primary == servers[0], "the other server is not affected"
            else:
                assert watch.shard.primary is None
            await watch.until(lambda: watch.shard.state(name).reachable)

    aio.run(look())


def test_a_replica_that_does_not_replay_leaves_the_rotation_and_comes_back(
    pair: tuple[Server, Server],
) -> None:
    primary, replica = pair
    servers = (watched(primary, Role.PRIMARY), watched(replica, Role.REPLICA))
    options = HealthOptions(interval=0.1, rotation=RotationOptions(max_lag=1.0))

    async def look() -> None:
        async with watching(*servers, options=options) as watch:
            await watch.until(lambda: bool(watch.shard.rotation))
            replica.query("SELECT pg_wal_replay_pause()")
            primary.query("INSERT INTO t SELECT generate_series(1, 1000)")
            took = await watch.until(lambda: not watch.shard.rotation)
            assert 0.8 < took < 1.0 + DETECTION
            lagging = watch.shard.state(servers[1].name)
            assert lagging.reachable
            assert lagging.lag_seconds is not None
            assert lagging.lag_seconds > 1.0
            assert (lagging.lag_bytes or 0) > 1000
            replica.query("SELECT pg_wal_replay_resume()")
            await watch.until(lambda: watch.shard.rotation == (servers[1],))

    aio.run(look())


def test_a_replica_of_an_idle_primary_does_not_lag(pair: tuple[Server, Server]) -> None:
    """now() - pg_last_xact_replay_timestamp() would say that it does."""
    primary, replica = pair
    primary.query("INSERT INTO t VALUES (1)")
    replica.wait_for_replay(primary)
    servers = (watched(primary, Role.PRIMARY), watched(replica, Role.REPLICA))
    options = HealthOptions(interval=0.05, rotation=RotationOptions(max_lag=0.5))

    async def look() -> None:
        async with watching(*servers, options=options) as watch:
            await watch.until(lambda: bool(watch.shard.rotation))
            observer = await asyncpg.connect(replica.dsn(), ssl=False)
            age = "SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8"
            while await observer.fetchval(age) < 1.0:
                assert watch.shard.rotation == (servers[1],)
            await observer.close()
            assert watch.shard.state(servers[1].name).lag_seconds == 0.0

    aio.run(look())


def test_a_promoted_replica_is_the_primary_and_the_old_one_never_again(run: Run) -> None:
    primary, replica = start_pair(run)
    servers = (watched(primary, Role.PRIMARY), watched(replica, Role.REPLICA))

    async def look() -> None:
        async with watching(*servers) as watch:
            await watch.until(lambda: bool(watch.shard.rotation))
            primary.kill()
            await watch.until(lambda: watch.shard.primary is None)
            await asyncio.to_thread(replica.promote)
            await watch.until(lambda: watch.shard.primary == servers[1])
            assert watch.shard.rotation == ()
            assert not watch.shard.writable
            assert watch.shard.state(servers[1].name).timeline == 2

            await asyncio.to_thread(primary.start)
            await watch.until(lambda: watch.shard.state(servers[0].name).reachable)
            assert watch.shard.state(servers[0].name).role is Role.PRIMARY
            assert watch.shard.primary == servers[1]

            replica.kill()
            await watch.until(lambda: not watch.shard.state(servers[1].name).reachable)
            assert watch.shard.primary is None, "the successor is away, its predecessor is no replacement"

    aio.run(look())


def test_a_configured_primary_that_is_in_recovery_is_not_the_primary(pair: tuple[Server, Server]) -> None:
    _, replica = pair

    async def look() -> None:
        async with watching(watched(replica, Role.PRIMARY)) as watch:
            await watch.until(lambda: watch.monitor.states[0].role is Role.REPLICA)
            assert watch.shard.primary is None
            assert watch.shard.rotation == ()

    aio.run(look())


def test_a_server_of_another_cluster_is_neither_primary_nor_read(
    run: Run, pair: tuple[Server, Server]
) -> None:
    primary, _ = pair
    stranger = Server.create(run, "stranger", auth="trust").start()
    strangers_replica = stranger.basebackup("strangers-replica").start()
    servers = (
        watched(primary, Role.PRIMARY),
        watched(stranger, Role.REPLICA),
        watched(strangers_replica, Role.REPLICA),
    )

    async def look() -> None:
        async with watching(*servers, options=HealthOptions(rotation=RotationOptions(max_lag=None))) as watch:
            await watch.until(lambda: all(state.reachable for state in watch.monitor.states))
            assert watch.shard.primary == servers[0]
            assert watch.shard.rotation == ()

    aio.run(look())


def test_a_listener_that_fails_stops_nobody(primary: Server, caplog: pytest.LogCaptureFixture) -> None:
    told: list[ServerState] = []

    def failing(before: ServerState, after: ServerState) -> None:
        raise ValueError("a defect")

    async def look() -> None:
        monitor = HealthMonitor([watched(primary, Role.PRIMARY)], HealthOptions())
        monitor.subscribe(failing)
        unsubscribe = monitor.subscribe(lambda before, after: told.append(after))
        await monitor.start()
        await monitor.stop()
        unsubscribe()
        await monitor.start()
        await monitor.stop()

    with caplog.at_level(logging.ERROR):
        aio.run(look())
    assert [state.reachable for state in told] == [True]
    assert "a listener of the monitor failed" in caplog.text


def test_when_the_watching_itself_fails_no_server_is_called_well(
    primary: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look() -> None:
        options = HealthOptions(interval=0.05)
        async with watching(watched(primary, Role.PRIMARY), options=options) as watch:
            assert watch.shard.writable
            monkeypatch.setattr(watch.shard, "seen", partial(divmod, 1, 0))
            await watch.until(lambda: not watch.shard.writable)
            assert watch.monitor.states[0].failure == "the monitor has ended"

    aio.run(look())
