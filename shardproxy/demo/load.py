"""Brings the sample application's schema and rows to the shards: COPY, all shards at once."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import asyncpg

from shardproxy.demo import data

SCHEMA = files("shardproxy.demo").joinpath("schema.sql").read_text()
_BATCH = 20_000
_SERIALS = (("customers", "customer_id"), ("products", "product_id"), ("orders", "order_id"))

Progress = Callable[[int], None]
"""Called with the number of orders that have just been loaded."""


async def load(
    servers: Sequence[str],
    owner: Callable[[str], int],
    amount: data.Amount,
    progress: Progress = lambda orders: None,
) -> None:
    """Fill empty tables: ``servers`` are superusers' DSNs, ``owner`` gives the index of a tenant's server."""
    shares: dict[int, list[data.Tenant]] = {index: [] for index in range(len(servers))}
    for tenant in data.tenants(amount):
        shares[owner(tenant.tenant_id)].append(tenant)
    async with asyncio.TaskGroup() as group:
        for index, dsn in enumerate(servers):
            group.create_task(_fill(dsn, shares[index], amount, progress))


async def _fill(dsn: str, tenants: Iterable[data.Tenant], amount: data.Amount, progress: Progress) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        # The rows are right by construction, and orders that have lived begin in the middle of their lives:
        # as a replication worker would, this session fires no triggers. Its commit need not be waited for.
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        await _copy(connection, {"currencies": data.CURRENCIES})
        waiting: dict[str, list[data.Row]] = defaultdict(list)
        for tenant in tenants:
            for table, rows in data.tenant_rows(tenant).items():
                waiting[table] += rows
            if len(waiting["order_events"]) >= _BATCH:
                await _flush(connection, waiting, progress)
        await _flush(connection, waiting, progress)
        for table, column in _SERIALS:
            # The same on every shard, above every id in use, so that a tenant can move without a collision.
            await connection.execute(
                "SELECT setval(pg_get_serial_sequence($1, $2), $3)", table, column, amount.orders
            )
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def _flush(
    connection: "asyncpg.Connection[Any]", waiting: dict[str, list[data.Row]], progress: Progress
) -> None:
    await _copy(connection, waiting)
    progress(len(waiting["orders"]))
    waiting.clear()


async def _copy(connection: "asyncpg.Connection[Any]", tables: Mapping[str, Sequence[data.Row]]) -> None:
    for table, rows in tables.items():
        if rows:
            await connection.copy_records_to_table(table, records=rows, columns=data.COLUMNS[table])
