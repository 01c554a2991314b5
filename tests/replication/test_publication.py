"""Publications of some rows: made, made anew, dropped; the subscriptions that follow them."""

import asyncpg
import pytest

from shardproxy.demo.postgres import Server
from shardproxy.replication import publication, slot, subscription
from shardproxy.replication.wal_sender import WalSender
from tests.catalog.fenced import until
from tests.replication.conftest import spec
from tests.support.aio import run

ROWS = {("public", "orders"): "tenant_id IN ('acme'::text)", ("public", "parts"): "id > 5"}


async def connections(servers: tuple[Server, Server]) -> tuple[asyncpg.Connection, asyncpg.Connection]:
    left, right = [await asyncpg.connect(server.dsn()) for server in servers]
    return left, right


def test_a_publication_is_replaced_and_dropped(servers: tuple[Server, Server]) -> None:
    async def scenario() -> None:
        left, _ = await connections(servers)
        for condition in ("id = 1", "id = 2"):
            await publication.create(left, "some", {("public", "orders"): condition})
        assert (
            await left.fetchval("SELECT rowfilter FROM pg_publication_tables WHERE pubname = 'some'")
            == "(id = 2)"
        )
        assert await left.fetchval("SELECT pubtruncate FROM pg_publication WHERE pubname = 'some'") is False
        await publication.drop(left, "some")
        await publication.drop(left, "some")
        assert not await publication.exists(left, "some")

    run(scenario())


def test_a_subscription_follows_the_rows_of_the_publication_and_no_truncate(
    servers: tuple[Server, Server],
) -> None:
    async def scenario() -> None:
        left, right = await connections(servers)
        await publication.create(left, "some", ROWS)
        wal_sender = await WalSender.open(spec(servers[0]), "a test")
        await slot.create(wal_sender, "some")
        wal_sender.close()
        primary = spec(servers[0])
        publisher = subscription.conninfo(primary.address, primary.login)
        await subscription.create(right, "some", publisher, "some", "some")
        await left.execute(
            "INSERT INTO orders VALUES ('acme', 1), ('globex', 1); INSERT INTO parts VALUES ('a', 1), ('a', 9)"
        )
        await left.execute("TRUNCATE orders; INSERT INTO orders VALUES ('acme', 2)")

        async def has_come() -> bool:
            return await right.fetchval("SELECT count(*) FROM orders") >= 2

        await until(has_come)
        assert [tuple(row) for row in await right.fetch("SELECT * FROM orders ORDER BY id")] == [
            ("acme", 1),
            ("acme", 2),
        ]
        assert [tuple(row) for row in await right.fetch("SELECT * FROM parts")] == [("a", 9)]
        state = await subscription.look(right, "some")
        assert state is not None
        assert state.enabled
        assert state.worker is not None
        await subscription.drop(right, "some")
        await subscription.drop(right, "some")
        assert await subscription.look(right, "some") is None
        await slot.drop(left, "some")
        await publication.drop(left, "some")
        for connection in (left, right):
            await connection.execute("TRUNCATE orders, parts")

    run(scenario())


def test_an_error_disables_the_subscription(servers: tuple[Server, Server]) -> None:
    async def scenario() -> None:
        left, right = await connections(servers)
        await publication.create(left, "some", ROWS)
        wal_sender = await WalSender.open(spec(servers[0]), "a test")
        await slot.create(wal_sender, "some")
        wal_sender.close()
        primary = spec(servers[0])
        await right.execute("INSERT INTO orders VALUES ('acme', 1)")
        publisher = subscription.conninfo(primary.address, primary.login)
        await subscription.create(right, "some", publisher, "some", "some")
        await left.execute("INSERT INTO orders VALUES ('acme', 1)")

        async def is_disabled() -> bool:
            state = await subscription.look(right, "some")
            return state is not None and not state.enabled and state.errors == 1

        await until(is_disabled)
        await right.execute("TRUNCATE orders")
        await subscription.enable(right, "some")

        async def has_come() -> bool:
            return await right.fetchval("SELECT count(*) FROM orders") >= 1

        await until(has_come)
        await subscription.drop(right, "some")
        await slot.drop(left, "some")
        await publication.drop(left, "some")
        for connection in (left, right):
            await connection.execute("TRUNCATE orders, parts")

    run(scenario())


def test_a_trial_tells_whether_the_publisher_lets_us_in(servers: tuple[Server, Server]) -> None:
    async def scenario() -> None:
        _, right = await connections(servers)
        good, bad = spec(servers[0]), spec(servers[0], password="wrong")
        await subscription.create(
            right, "trial", subscription.conninfo(good.address, good.login), "trial", None
        )
        await subscription.drop(right, "trial")
        with pytest.raises(asyncpg.PostgresError):
            await subscription.create(
                right, "trial", subscription.conninfo(bad.address, bad.login), "trial", None
            )
        assert await subscription.look(right, "trial") is None

    run(scenario())


def test_the_publishers_password_is_in_no_log(servers: tuple[Server, Server]) -> None:
    servers[1].query("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()")

    async def scenario() -> None:
        _, right = await connections(servers)

        async def is_logged() -> bool:
            return bool(await right.fetchval("SHOW log_statement") == "all")

        await until(is_logged)
        primary = spec(servers[0], password="not to be seen")
        with pytest.raises(asyncpg.PostgresError):
            await subscription.create(
                right, "trial", subscription.conninfo(primary.address, primary.login), "trial", None
            )

    run(scenario())
    servers[1].query("ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf()")
    log = servers[1].log_file.read_text()
    assert "SHOW log_statement" in log
    assert "not to be seen" not in log
