"""Sidecars of an installation: whose the map is, and that they follow it, as processes on real servers."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import asyncpg
import pytest

from shardproxy.catalog import maps
from shardproxy.catalog.epochs import retire
from shardproxy.catalog.locks import CLASS_EPOCH
from shardproxy.catalog.sidecars import sidecars as sidecars_of
from shardproxy.demo.postgres import Install, Run
from shardproxy.version import VERSION
from tests.server.load import loads
from tests.support import cluster as clusters
from tests.support import rest
from tests.support.aio import run
from tests.support.installed import Installed, unchanged
from tests.support.proxy import Proxy

LOOSE = {"size": 4}


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run:
        yield Installed.make(clusters.start(run, replicas=1))


@pytest.fixture(scope="module")
def sidecars(installed: Installed) -> Iterator[tuple[Proxy, Proxy]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(Proxy(installed.config(pool={"size": 4}))) for _ in range(2))
        yield first, second


def epoch(proxy: Proxy) -> float:
    return rest.metric(proxy, "shardproxy_map_epoch")


def refused(proxy: Proxy) -> str:
    """Start it; what it says when it ends by itself."""
    try:
        proxy.launch()
        process = proxy.process
        assert process is not None
        assert process.wait(20) == 1
        return proxy.log
    finally:
        proxy.kill()
        proxy.directory.cleanup()


# --- the start ----------------------------------------------------------------------------------------------


def test_a_sidecar_takes_the_catalogs_map(sidecars: tuple[Proxy, Proxy]) -> None:
    first, _ = sidecars
    assert "the map is the catalog's, on shard-a" in first.log
    assert epoch(first) >= 1
    assert rest.metric(first, "shardproxy_catalog_age_seconds") < 5


def test_a_configuration_that_disagrees_is_refused_with_every_difference_in_its_place(
    installed: Installed,
) -> None:
    tables = dict(installed.cluster.config()["tables"])
    tables["orders"] = {"key": "order_id"}
    tables["misc"] = "reference"
    del tables["audit"]
    proxy = Proxy(installed.config(tables=tables, groups={"tenant": "text", "device": "int8", "doc": "text"}))
    log = refused(proxy)
    lines = [line.split(": ", 1)[1] for line in log.splitlines() if line.startswith(str(proxy.path))]
    assert sorted(lines) == [
        "groups.doc: has text keys here and uuid keys in the catalog",
        "tables.audit: is in the catalog (local to shard-a) and missing here",
        "tables.misc: is not in the catalog",
        "tables.orders: is sharded by order_id, group tenant here "
        "and sharded by tenant_id, group tenant in the catalog",
    ]
    line = next(line for line in log.splitlines() if "tables.orders" in line)
    number = int(line.removeprefix(str(proxy.path)).split(":")[1])
    assert "orders" in proxy_text(proxy, number)
    assert "4 mistake(s) in the configuration" in log


def proxy_text(proxy: Proxy, number: int) -> str:
    """A line of its configuration file, as it was written."""
    import yaml

    return yaml.safe_dump(proxy.config, sort_keys=False).splitlines()[number - 1]


def test_addresses_that_were_swapped_are_refused(installed: Installed) -> None:
    config = installed.config()
    a, b, _ = config["shards"]
    a["primary"], b["primary"] = b["primary"], a["primary"]
    log = refused(Proxy(config))
    assert 'shards: is shard "shard-b" of installation' in log


def test_placements_and_weights_are_wishes(installed: Installed) -> None:
    config = installed.config(placements={})
    config["shards"][0]["weight"] = 3
    with Proxy(config) as proxy:
        assert "2 placements differ" in proxy.log
        assert "buckets are on other shards than the ring would put them on" in proxy.log

        async def main() -> None:
            connection = await asyncpg.connect(proxy.dsn())
            for tenant in ("hooli", "stark"):
                sql = "SELECT count(*) FROM orders WHERE tenant_id = $1"
                assert await connection.fetchval(sql, tenant) > 0
            await connection.close()

        run(main())


def test_a_reload_that_disagrees_changes_nothing(sidecars: tuple[Proxy, Proxy], installed: Installed) -> None:
    first, _ = sidecars
    before = dict(first.config)
    try:
        for tables, expect in (
            ({**before["tables"], "misc": "reference"}, r"tables\.misc: is not in the catalog"),
            (before["tables"], r"\breloaded"),
        ):
            first.config = before | {"tables": tables}
            first.write_config()
            offset = len(first.log)
            first.signal(signal.SIGHUP)
            first.wait_for_log(expect, after=offset)
        assert epoch(first) >= 1
    finally:
        first.config = before


# --- following ----------------------------------------------------------------------------------------------


def test_two_sidecars_follow_a_map_within_a_second(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    published = run(installed.publish(unchanged, 1, 2))
    started = time.monotonic()
    for proxy in sidecars:
        rest.wait_until(lambda proxy=proxy: epoch(proxy) == published.epoch, "the map is followed")
    assert time.monotonic() - started < 1.0


def test_a_retirement_under_load_disturbs_nobody(sidecars: tuple[Proxy, Proxy], installed: Installed) -> None:
    tenants = [installed.cluster.tenants_of(shard)[0] for shard in range(3)]

    async def main() -> None:
        async with loads(sidecars[0].dsn(), tenants) as one, loads(sidecars[1].dsn(), tenants) as two:
            for _ in range(3):
                published = await installed.publish(unchanged, 0, 1, 2)
                began = time.monotonic()
                await asyncio.gather(*(retire(spec, published.epoch, grace=20) for spec in installed.specs))
                assert time.monotonic() - began < 10
                for load in (*one, *two):
                    await load.until(lambda load=load, began=began: load.succeeded_since(began) > 20)
            assert [load.errors for load in (*one, *two)] == [[]] * 6

    run(main(), timeout=90)


def test_sessions_that_keep_their_connection_come_along(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    first, _ = sidecars
    tenant = installed.cluster.tenants_of(1)[0]

    async def main() -> None:
        listener, owner = await asyncpg.connect(first.dsn()), await asyncpg.connect(first.dsn())
        heard: asyncio.Queue[str] = asyncio.Queue()
        await listener.add_listener("news", lambda *told: heard.put_nowait(told[3]))
        await owner.execute(f"BEGIN; SELECT FROM orders WHERE tenant_id = '{tenant}'; COMMIT")
        await owner.execute("CREATE TEMP TABLE mine AS SELECT 7 AS x")
        pid = await owner.fetchval("SELECT pg_backend_pid()")
        async with installed.operator() as operator:
            for number in range(5):
                published = await installed.publish(unchanged, 0, 1, 2)
                retiring = [
                    asyncio.create_task(retire(spec, published.epoch, grace=20)) for spec in installed.specs
                ]
                began = time.monotonic()
                for part in range(20):  # some of them come while the connection enters
                    await operator.execute(f"NOTIFY news, '{number}.{part}'")
                    assert await heard.get() == f"{number}.{part}"
                await asyncio.gather(*retiring)
                assert time.monotonic() - began < 10
        assert await owner.fetchval("SELECT pg_backend_pid()") == pid
        assert await owner.fetchval("SELECT x FROM mine") == 7
        await owner.close()
        await listener.close()

    run(main(), timeout=90)


def test_a_kept_connection_that_is_busy_comes_along_afterwards(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    first, _ = sidecars

    async def main() -> None:
        owner = await asyncpg.connect(first.dsn())
        await owner.execute("CREATE TEMP TABLE mine AS SELECT 7 AS x")
        async with owner.transaction():
            await owner.fetchval("SELECT x FROM mine")
            published = await installed.publish(unchanged, 0, 1, 2)
            retiring = [
                asyncio.create_task(retire(spec, published.epoch, grace=20)) for spec in installed.specs
            ]
            await asyncio.to_thread(
                rest.wait_until, lambda: epoch(first) == published.epoch, "the map is followed"
            )
        await asyncio.gather(*retiring)
        assert await owner.fetchval("SELECT x FROM mine") == 7
        await owner.close()

    run(main(), timeout=60)


def test_monitors_and_readers_of_sidecars_hold_nothing_up(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    async def main() -> None:
        own = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'shardproxy %' ORDER BY pid"
        async with installed.operator(1) as operator:
            before = await operator.fetch(own)
            assert len(before) >= 2
            published = await installed.publish(unchanged, 1)
            began = time.monotonic()
            await retire(installed.specs[1], published.epoch, grace=0.5)
            assert time.monotonic() - began < 5
            assert {row["pid"] for row in before} <= {row["pid"] for row in await operator.fetch(own)}

    run(main())


def test_a_replica_that_has_not_replayed_the_map_is_left_out_until_it_has(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    first, _ = sidecars
    tenant = installed.cluster.tenants_of(1)[0]
    where = "SELECT current_setting('cluster_name'), count(*) FROM orders WHERE tenant_id = $1"
    primary, replica_name = "shard-b", "shard-b-replica-1"

    async def main() -> None:
        reader = await asyncpg.connect(first.dsn(), server_settings={"shardproxy.read": "replica"})
        assert await reader.fetchval(where, tenant) == replica_name
        replica = await asyncpg.connect(installed.cluster.replica_dsn(1, superuser=True))
        await replica.execute("SELECT pg_wal_replay_pause()")
        try:
            published = await installed.publish(unchanged, 1)
            await asyncio.to_thread(
                rest.wait_until, lambda: epoch(first) == published.epoch, "the map is followed"
            )
            for _ in range(20):
                assert await reader.fetchval(where, tenant) == primary
        finally:
            await replica.execute("SELECT pg_wal_replay_resume()")
        async with asyncio.timeout(10):
            while await reader.fetchval(where, tenant) == primary:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.02)
        await replica.close()
        await reader.close()

    run(main())


def test_without_the_catalog_routing_goes_on_and_afterwards_it_is_followed_again(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    first, _ = sidecars
    catalog = installed.cluster.shards[0].primary
    tenants = [installed.cluster.tenants_of(shard)[0] for shard in (1, 2)]

    async def main() -> None:
        async with loads(first.dsn(), tenants) as each:
            killed = time.monotonic()
            await asyncio.to_thread(catalog.kill)
            for load in each:
                await load.until(lambda load=load: load.succeeded_since(killed) > 50)
            await asyncio.to_thread(catalog.start)
            published = await installed.publish(unchanged, 1)
            await asyncio.to_thread(
                rest.wait_until, lambda: epoch(first) == published.epoch, "the map is followed", 5
            )
            assert [load.errors for load in each] == [[], []]

    run(main(), timeout=60)
    assert rest.metric(first, "shardproxy_catalog_age_seconds") < 5


def test_a_sidecar_that_slept_through_a_retirement_wakes_up_in_the_new_epoch(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    first, second = sidecars
    tenants = [installed.cluster.tenants_of(shard)[0] for shard in range(3)]
    others = [installed.cluster.tenants_of(shard)[1] for shard in range(3)]  # who waits for no lock of theirs

    async def main() -> None:
        async with loads(first.dsn(), tenants) as asleep, loads(second.dsn(), others) as awake:
            first.signal(signal.SIGSTOP)
            try:
                published = await installed.publish(unchanged, 0, 1, 2)
                began = time.monotonic()
                await asyncio.gather(*(retire(spec, published.epoch, grace=1) for spec in installed.specs))
                assert 1 <= time.monotonic() - began < 6
            finally:
                first.signal(signal.SIGCONT)
            continued = time.monotonic()
            for load in asleep:
                await load.until(lambda load=load: load.succeeded_since(continued) > 20)
            assert time.monotonic() - continued < 5
            assert epoch(first) == published.epoch
            assert [load.errors for load in awake] == [[]] * 3
            told = {event.sqlstate for load in asleep for event in load.errors}
            assert told <= {"08006", "08007", "57P01"}, told
            async with installed.operator(1) as operator:
                epochs = await operator.fetch(
                    "SELECT DISTINCT objid::int FROM pg_locks JOIN pg_stat_activity USING (pid) "
                    f"WHERE locktype = 'advisory' AND classid = {CLASS_EPOCH} AND usename = 'app'"
                )
                assert {row["objid"] for row in epochs} == {0, published.epoch}

    run(main(), timeout=60)


def test_a_client_reaches_nothing_of_the_proxys_own(sidecars: tuple[Proxy, Proxy]) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(sidecars[0].dsn())
        for pinned in (False, True):
            if pinned:
                await connection.execute("CREATE TEMP TABLE mine (x int)")
            for sql in (
                "SELECT * FROM shardproxy.map",
                "SELECT shardproxy.enter(0, NULL)",
                "CALL shardproxy.guard(1)",
                "UPDATE shardproxy.shard SET oldest_epoch = 1",
            ):
                with pytest.raises(asyncpg.FeatureNotSupportedError, match="the proxy's own"):
                    await connection.execute(sql)
        await connection.close()

    run(main())


def test_a_client_that_drops_all_locks_is_in_the_next_epoch_again(
    sidecars: tuple[Proxy, Proxy], installed: Installed
) -> None:
    """It counts as stale until then, so nothing is retired over its head."""
    tenant = installed.cluster.tenants_of(1)[0]

    async def main() -> None:
        connection = await asyncpg.connect(sidecars[0].dsn())
        sql = "SELECT pg_advisory_unlock_all(), count(*) FROM orders WHERE tenant_id = $1"
        for _ in range(8):
            await connection.fetch(sql, tenant)
        published = await installed.publish(unchanged, 1)
        began = time.monotonic()
        await retire(installed.specs[1], published.epoch, grace=20)
        assert time.monotonic() - began < 10
        assert await connection.fetchval("SELECT count(*) FROM orders WHERE tenant_id = $1", tenant)
        await connection.close()

    run(main(), timeout=60)


def test_the_catalog_knows_its_sidecars(sidecars: tuple[Proxy, Proxy], installed: Installed) -> None:
    async def main() -> None:
        async with installed.operator() as catalog:
            found = {each.pid: each for each in await sidecars_of(catalog)}
            newest = await maps.newest_epoch(catalog)
            for proxy in sidecars:
                assert found[proxy.pid].version == VERSION
                assert 0 < found[proxy.pid].epoch <= newest

    run(main())


# --- becoming an installation -------------------------------------------------------------------------------


@pytest.fixture
def bare(install: Install) -> Iterator[clusters.Cluster]:
    with Run(install) as run:
        yield clusters.start(run)


def test_a_running_sidecar_becomes_part_of_the_installation(bare: clusters.Cluster) -> None:
    tenants = [bare.tenants_of(shard)[0] for shard in range(3)]
    with Proxy(bare.config()) as proxy:

        async def main() -> None:
            async with loads(proxy.dsn(), tenants) as each:
                assert epoch(proxy) == 0
                installed = await asyncio.to_thread(Installed.make, bare)
                await asyncio.to_thread(rest.wait_until, lambda: epoch(proxy) == 1, "the map is taken over")
                published = await installed.publish(unchanged, 0, 1, 2)
                began = time.monotonic()
                await asyncio.gather(*(retire(spec, published.epoch, grace=20) for spec in installed.specs))
                for load in each:
                    await load.until(lambda load=load: load.succeeded_since(began) > 20)
                assert [load.errors for load in each] == [[]] * 3

        run(main(), timeout=60)


def test_a_running_sidecar_that_disagrees_ends(bare: clusters.Cluster) -> None:
    tables = {name: rule for name, rule in bare.config()["tables"].items() if name != "audit"}
    proxy = Proxy(bare.config(tables=tables)).start()
    try:
        Installed.make(bare)
        assert proxy.process is not None
        assert proxy.process.wait(20) == 1
        assert "tables.audit: is in the catalog (local to shard-a) and missing here" in proxy.log
    finally:
        proxy.kill()
        proxy.directory.cleanup()
