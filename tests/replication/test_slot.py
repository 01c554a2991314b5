"""Slots are made with a snapshot of what lies before them, and dropped with whoever reads them."""

import asyncpg
import pytest

from shardproxy.demo.postgres import Server
from shardproxy.errors import LoginFailed, ShardproxyError, Unavailable
from shardproxy.replication import slot, subscription
from shardproxy.replication.wal_sender import CommandFailed, WalSender
from tests.catalog.fenced import until
from tests.replication.conftest import spec
from tests.support.aio import run


async def connect(server: Server) -> asyncpg.Connection:
    return await asyncpg.connect(server.dsn())


def test_the_snapshot_sees_exactly_what_the_slot_does_not_have(servers: tuple[Server, Server]) -> None:
    async def scenario() -> None:
        connection = await connect(servers[0])
        await connection.execute("INSERT INTO orders VALUES ('before', 1)")
        wal_sender = await WalSender.open(spec(servers[0]), "a test")
        made = await slot.create(wal_sender, 'odd"name'.replace('"', "_"))
        await connection.execute("INSERT INTO orders VALUES ('after', 1)")
        reader = await connect(servers[0])
        await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await reader.execute(f"SET TRANSACTION SNAPSHOT '{made.snapshot}'")
        assert [row["tenant_id"] for row in await reader.fetch("SELECT tenant_id FROM orders")] == ["before"]
        await connection.execute("CREATE PUBLICATION all_of_it FOR TABLE orders")
        state = await slot.look(connection, made.name)
        assert state is not None
        assert (state.active_pid, state.usable) == (None, True)
        assert state.behind > 0
        wal_sender.close()
        await reader.close()
        await slot.drop(connection, made.name)
        assert await slot.look(connection, made.name) is None
        await slot.drop(connection, made.name)
        await connection.execute("DROP PUBLICATION all_of_it; TRUNCATE orders")
        await connection.close()

    run(scenario())


def test_a_slot_that_is_read_is_dropped_with_its_reader(servers: tuple[Server, Server]) -> None:
    async def scenario() -> None:
        left, right = [await connect(server) for server in servers]
        wal_sender = await WalSender.open(spec(servers[0]), "a test")
        await slot.create(wal_sender, "busy")
        wal_sender.close()
        await left.execute("CREATE PUBLICATION busy FOR TABLE orders")
        primary = spec(servers[0])
        publisher = subscription.conninfo(primary.address, primary.login)
        await subscription.create(right, "busy", publisher, "busy", "busy")

        async def is_read() -> bool:
            state = await slot.look(left, "busy")
            return state is not None and state.active_pid is not None

        await until(is_read)
        await subscription.disable(right, "busy")
        await slot.drop(left, "busy")
        assert await slot.look(left, "busy") is None
        await subscription.drop(right, "busy")
        await left.execute("DROP PUBLICATION busy")
        for connection in (left, right):
            await connection.close()

    run(scenario())


def test_what_the_server_refuses_has_its_sqlstate(servers: tuple[Server, Server]) -> None:
    async def scenario() -> None:
        wal_sender = await WalSender.open(spec(servers[0]), "a test")
        await slot.create(wal_sender, "twice")
        with pytest.raises(CommandFailed) as failed:
            await slot.create(wal_sender, "twice")
        assert failed.value.sqlstate == "42710"
        with pytest.raises(CommandFailed) as failed:
            await slot.create(wal_sender, "Not Allowed")
        assert failed.value.sqlstate == "42602"
        wal_sender.close()
        connection = await connect(servers[0])
        await slot.drop(connection, "twice")
        await connection.close()

    run(scenario())


def test_a_wal_sender_that_cannot_be_had(servers: tuple[Server, Server], new_server) -> None:
    async def scenario() -> None:
        with pytest.raises(LoginFailed):
            await WalSender.open(spec(servers[0], password="wrong"), "a test")
        down = new_server("down")
        address = spec(down)
        down.stop()
        with pytest.raises(Unavailable):
            await WalSender.open(address, "a test")
        down.start()
        down.query("CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'it''s \\ secret'")
        wal_sender = await WalSender.open(address, "a test")
        down.kill()
        with pytest.raises((Unavailable, ShardproxyError)):
            await wal_sender.row("IDENTIFY_SYSTEM")

    run(scenario(), 60)
