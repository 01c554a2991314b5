"""Retiring epochs on real servers: nobody is left in an old one, nobody gets in, nobody is disturbed early."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from shardproxy.backend import driver
from shardproxy.backend.epoch import enter_script
from shardproxy.catalog.epochs import NotRetired, Waiting, retire
from shardproxy.errors import ShardproxyError
from tests.catalog.fenced import Fenced, ended, enter, refusal
from tests.support.aio import run


class Watch:
    """Hears of a retirement's progress."""

    def __init__(self) -> None:
        self.seen: list[Waiting] = []
        self._news = asyncio.Event()

    def __call__(self, waiting: Waiting) -> None:
        self.seen.append(waiting)
        self._news.set()

    async def until(self, condition: Callable[[Waiting], bool]) -> None:
        """Return when the newest news are such."""
        while not (self.seen and condition(self.seen[-1])):
            self._news.clear()
            await self._news.wait()

    async def until_held_by(self, pid: int) -> None:
        await self.until(lambda waiting: pid in [holder.pid for holder in waiting.holders])


def test_who_holds_an_old_epoch_is_waited_for_and_then_it_goes_on(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as old, fenced.app() as new:
            await enter(old, 1)
            epoch = await fenced.publish(0)
            await enter(new, epoch)
            watch = Watch()
            retiring = asyncio.create_task(retire(fenced.specs[0], epoch, on_progress=watch))
            await watch.until_held_by(old.get_server_pid())
            (holder,) = watch.seen[-1].holders
            assert (holder.user, holder.application_name, holder.state) == ("app", "an application", "idle")
            assert 0 <= holder.age < 30
            assert "an application" in str(watch.seen[-1])
            assert not retiring.done()
            await enter(old, epoch, 1)
            await retiring
            assert await old.fetchval("SELECT 1") == await new.fetchval("SELECT 1") == 1
            assert watch.seen[-1] == Waiting()

    run(main())


def test_a_transaction_of_an_old_epoch_is_waited_for(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as old:
            await enter(old, 1)
            epoch = await fenced.publish(0)
            watch = Watch()
            async with old.transaction():
                await old.execute("INSERT INTO public.orders VALUES ('acme', 1)")
                retiring = asyncio.create_task(retire(fenced.specs[0], epoch, on_progress=watch))
                await watch.until_held_by(old.get_server_pid())
                assert watch.seen[-1].holders[0].state == "idle in transaction"
            await enter(old, epoch, 1)
            await retiring

    run(main())


def test_after_the_grace_a_direct_connection_is_terminated(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as direct, fenced.app() as good:
            epoch = await fenced.publish(0)
            await enter(good, epoch)
            watch = Watch()
            await retire(fenced.specs[0], epoch, grace=0.3, on_progress=watch)
            await ended(direct)
            assert await good.fetchval("SELECT 1") == 1
            assert [holder.pid for each in watch.seen for holder in each.holders if holder.terminated]

    run(main())


def test_idle_sessions_of_roles_that_no_sidecar_logs_in_as_are_let_alone(fenced: Fenced) -> None:
    """Superusers' and exporters'; those of the operator, whom a sidecar might use as well, are not."""

    async def main() -> None:
        port = fenced.primaries[0].port
        async with fenced.operator() as operator:
            await operator.execute("CREATE ROLE exporter LOGIN PASSWORD 'exporter'")
        dsn = f"postgresql://{{0}}@127.0.0.1:{port}/{fenced.database}"
        exporter = await asyncpg.connect(dsn.format("exporter:exporter"))
        superuser = await asyncpg.connect(dsn.format("operator:secret"))
        others = [
            await asyncpg.connect(fenced.primaries[0].dsn(dbname=fenced.database)),
            await asyncpg.connect(dsn.format("exporter:exporter")),
        ]
        try:
            await others[1].execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            epoch = await fenced.publish(0)
            await retire(fenced.specs[0], epoch, grace=0.0)
            assert await exporter.fetchval("SELECT 1") == await superuser.fetchval("SELECT 1") == 1
            for other in others:
                await ended(other)
        finally:
            for connection in (exporter, superuser, *others):
                connection.terminate()
            async with fenced.operator() as operator:
                await operator.execute("DROP ROLE exporter")

    run(main())


def test_a_session_that_has_become_idle_once_is_not_waited_for_again(fenced: Fenced) -> None:
    async def main() -> None:
        server = fenced.primaries[0]
        dsn = f"postgresql://operator:secret@127.0.0.1:{server.port}/{fenced.database}"
        superuser = await asyncpg.connect(dsn)
        try:
            async with fenced.app() as old:
                await enter(old, 1)
                await superuser.execute("BEGIN")
                epoch = await fenced.publish(0)
                watch = Watch()
                retiring = asyncio.create_task(retire(fenced.specs[0], epoch, on_progress=watch))
                await watch.until_held_by(superuser.get_server_pid())
                await superuser.execute("COMMIT")
                await watch.until(lambda waiting: len(waiting.holders) == 1)
                await superuser.execute("BEGIN")
                seen = len(watch.seen)
                await watch.until(lambda waiting: len(watch.seen) > seen + 1)
                assert [holder.user for holder in watch.seen[-1].holders] == ["app"]
                await enter(old, epoch, 1)
                await retiring
                await superuser.execute("COMMIT")
        finally:
            superuser.terminate()

    run(main())


def test_an_idle_session_of_a_superuser_in_an_old_epoch_is_ended(fenced: Fenced) -> None:
    async def main() -> None:
        server = fenced.primaries[0]
        dsn = f"postgresql://operator:secret@127.0.0.1:{server.port}/{fenced.database}"
        superuser = await asyncpg.connect(dsn)
        await enter(superuser, 1)
        epoch = await fenced.publish(0)
        await retire(fenced.specs[0], epoch, grace=0.0)
        await ended(superuser)

    run(main())


def test_epoch_0_and_other_databases_hold_nothing_up(fenced: Fenced) -> None:
    async def main() -> None:
        server = fenced.server(fenced.primaries[0], "app")
        monitor = await driver.connect(server.address, server.login, "monitor", timeout=10.0)
        async with fenced.operator() as mover:
            epoch = await fenced.publish(0)
            await retire(fenced.specs[0], epoch, grace=0.0)
            assert await monitor.fetchval("SELECT 1") == await mover.fetchval("SELECT 1") == 1
        monitor.terminate()

    run(main())


def test_who_holds_an_old_epoch_besides_a_new_one_holds_it_up(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as both:
            await enter(both, 1)
            epoch = await fenced.publish(0)
            await enter(both, epoch)
            with pytest.raises(NotRetired) as raised:
                await retire(fenced.specs[0], epoch, timeout=0.5)
            assert [holder.pid for holder in raised.value.waiting.holders] == [both.get_server_pid()]

    run(main())


def test_nobody_enters_a_retired_epoch_on_any_server(fenced: Fenced) -> None:
    async def main() -> None:
        epoch = await fenced.publish(0)
        await retire(fenced.specs[0], epoch)
        for replica in (False, True):
            async with fenced.app(replica=replica) as stale:
                assert await refusal(enter(stale, 1)) == "SP002"
            async with fenced.app(replica=replica) as fresh:
                await enter(fresh, epoch)
        async with fenced.app(1) as elsewhere:
            await enter(elsewhere, 1)

    run(main())


def test_who_is_refused_holds_no_lock(fenced: Fenced) -> None:
    async def main() -> None:
        epoch = await fenced.publish(0)
        await retire(fenced.specs[0], epoch)
        async with fenced.app() as stale:
            for entering, sqlstate in ((1, "SP002"), (epoch + 1, "SP003")):
                assert await refusal(enter(stale, entering)) == sqlstate
                await stale.execute("ROLLBACK")
                held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                assert await stale.fetchval(held) == 0

    run(main())


def test_a_replica_that_has_not_replayed_an_epoch_refuses_it(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator(replica=True) as replica:
            await replica.execute("SELECT pg_wal_replay_pause()")
            try:
                epoch = await fenced.publish(0)
                async with fenced.app(replica=True) as early:
                    assert await refusal(enter(early, epoch)) == "SP003"
            finally:
                await replica.execute("SELECT pg_wal_replay_resume()")
            await asyncio.to_thread(fenced.replica.wait_for_replay, fenced.primaries[0])
            async with fenced.app(replica=True) as later:
                await enter(later, epoch)

    run(main())


def test_a_retirement_waits_for_the_replay_and_for_connections_to_the_replica(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator(replica=True) as replica, fenced.app(replica=True) as reader:
            await enter(reader, 1)
            await replica.execute("SELECT pg_wal_replay_pause()")
            watch = Watch()
            try:
                epoch = await fenced.publish(0)
                retiring = asyncio.create_task(retire(fenced.specs[0], epoch, on_progress=watch))
                await watch.until(lambda waiting: "not replayed" in str(waiting))
            finally:
                await replica.execute("SELECT pg_wal_replay_resume()")
            await watch.until_held_by(reader.get_server_pid())
            await enter(reader, epoch, 1)
            await retiring

    run(main())


def test_a_replica_that_is_away_is_waited_for(fenced: Fenced) -> None:
    async def main() -> None:
        await asyncio.to_thread(fenced.replica.stop)
        try:
            epoch = await fenced.publish(0)
            with pytest.raises(NotRetired, match="could not be retired") as raised:
                await retire(fenced.specs[0], epoch, timeout=0.5)
            assert raised.value.detail is not None
            assert "cannot be reached" in raised.value.detail
        finally:
            await asyncio.to_thread(fenced.replica.start)
        await retire(fenced.specs[0], epoch)

    run(main())


def test_a_prepared_transaction_is_waited_for(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as direct:
            await direct.execute(
                "BEGIN; INSERT INTO public.orders VALUES ('acme', 1); PREPARE TRANSACTION 'theirs'"
            )
        epoch = await fenced.publish(0)
        watch = Watch()
        retiring = asyncio.create_task(retire(fenced.specs[0], epoch, grace=0.0, on_progress=watch))
        await watch.until(lambda waiting: "prepared transaction 'theirs' of app" in str(waiting))
        async with fenced.operator() as operator:
            await operator.execute("ROLLBACK PREPARED 'theirs'")
        await retiring

    run(main())


def test_a_login_without_the_rights_is_told_so(fenced: Fenced) -> None:
    async def main() -> None:
        spec = fenced.specs[1]
        shard = type(spec)(spec.name, fenced.server(fenced.primaries[1], "app"))
        with pytest.raises(ShardproxyError, match="permission denied"):
            await retire(shard, 2)

    run(main())


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_default_isolation_level_does_not_fool_the_fence(fenced: Fenced, level: str) -> None:
    """With a snapshot from before the lock, the row would be seen as it was: another level is not entered."""

    async def main() -> None:
        async with fenced.app(default_transaction_isolation=level) as connection:
            assert await refusal(connection.execute("SELECT shardproxy.enter(1, NULL)")) == "25000"
            await enter(connection, 1)
            epoch = await fenced.publish(0)
            await enter(connection, epoch, 1)
            await retire(fenced.specs[0], epoch)
            assert await refusal(enter(connection, 1)) == "SP002"

    run(main())


def test_an_epoch_is_entered_whatever_the_sessions_role_and_search_path(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator:
            await operator.execute("CREATE ROLE nobody_at_all; GRANT nobody_at_all TO app")
            await operator.execute("CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO app")
        try:
            async with fenced.app() as connection:
                await connection.execute(
                    "CREATE FUNCTION trap.compare(integer, integer) RETURNS boolean LANGUAGE plpgsql AS "
                    "'BEGIN RAISE EXCEPTION ''trapped''; END';"
                    + "".join(
                        f"CREATE OPERATOR trap.{name} (FUNCTION = trap.compare, LEFTARG = integer, RIGHTARG = integer);"
                        for name in ("=", "<>", "<", ">")
                    )
                    + "SET search_path = trap, pg_catalog; SET ROLE nobody_at_all"
                )
                await enter(connection, 1)
                await enter(connection, 1, 1)
                assert await connection.fetchval("SELECT current_user") == "nobody_at_all"
        finally:
            async with fenced.operator() as operator:
                await operator.execute("DROP ROLE nobody_at_all")

    run(main())


def test_a_retirement_can_be_repeated(fenced: Fenced) -> None:
    async def main() -> None:
        epoch = await fenced.publish(0)
        await retire(fenced.specs[0], epoch)
        await retire(fenced.specs[0], epoch)
        async with fenced.operator() as operator:
            row = await operator.fetchrow("SELECT oldest_epoch, newest_epoch FROM shardproxy.shard")
            assert tuple(row) == (epoch, epoch)

    run(main())


def test_the_lock_is_what_a_retirement_looks_for_whoever_took_it(fenced: Fenced) -> None:
    """A connection that dropped all its advisory locks counts as stale."""

    async def main() -> None:
        async with fenced.app() as connection:
            epoch = await fenced.publish(0)
            await enter(connection, epoch)
            await connection.execute("SELECT pg_advisory_unlock_all()")
            with pytest.raises(NotRetired):
                await retire(fenced.specs[0], epoch, timeout=0.3)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
                await retire(fenced.specs[0], epoch, grace=0.0)
                await connection.fetchval("SELECT 1")

    run(main())


def test_who_means_another_shard_is_told_where_it_is(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as connection:
            here = await connection.fetchval("SELECT installation || '/' || name FROM shardproxy.shard")
            for wrong in (here.replace("shard-a", "shard-b"), "/shard-a"):
                assert await refusal(connection.execute(enter_script(1, None, wrong))) == "SP004"
                await connection.execute("ROLLBACK")
            await connection.execute(enter_script(1, None, here))

    run(main())
