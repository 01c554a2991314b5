"""``shardproxy demo --check``: what the sidecar does, each answer verified straight on the shards.

Every step asks through the sidecar as an application would, and asks the servers themselves what is true.
Where a statement ran is said by the server that ran it, whose ``cluster_name`` is its name.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from shardproxy.demo.cluster import app_dsn
from shardproxy.demo.move import Move
from shardproxy.demo.postgres import Server
from shardproxy.demo.sights import TIMEOUT, Finding, Sights, Step
from shardproxy.demo.stage import Stage

READ: Final = "SELECT current_setting('cluster_name'), count(*), sum(total) FROM orders WHERE tenant_id = $1"
READ_OWN: Final = "SELECT current_setting('cluster_name'), count(*), sum(total) FROM orders"
CUSTOMERS: Final = (
    "SELECT current_setting('cluster_name'), count(*), max(email) FROM customers WHERE tenant_id = $1"
)
TENANTS: Final = "SELECT current_setting('cluster_name'), tenant_id, name FROM tenants"
CURRENCIES: Final = (
    "SELECT current_setting('cluster_name'), currency, name, minor_units FROM currencies ORDER BY currency"
)
NEW_ORDER: Final = (
    "INSERT INTO orders (tenant_id, customer_id, currency, total) "
    "VALUES ($1, 1, 'EUR', 12.50) RETURNING order_id"
)
ADVANCE: Final = "UPDATE orders SET status = $3 WHERE tenant_id = $1 AND order_id = $2"
RECORD: Final = "INSERT INTO order_events (tenant_id, order_id, event, status) VALUES ($1, $2, $3, $4)"
ORDER: Final = (
    "SELECT current_setting('cluster_name'), status, version FROM orders "
    "WHERE tenant_id = $1 AND order_id = $2"
)
EVENTS: Final = "SELECT count(*) FROM order_events WHERE tenant_id = $1 AND order_id = $2"
DELETE_ALL: Final = "DELETE FROM orders"
COUNT_ALL: Final = "SELECT count(*) FROM orders"
LOOK: Final = "SELECT shardproxy.enter(0, NULL)"
"""A session that only looks: no move waits for it."""


Visit = Callable[[Sights], Awaitable[Finding]]


async def take(stage: Stage, show: Callable[[Step], None]) -> None:
    """Go through all steps; ``show`` is given each as it is done. A step that fails does not end the tour."""
    async with AsyncExitStack() as stack:

        async def connect(dsn: str) -> "asyncpg.Connection[Any]":
            connection = await asyncpg.connect(dsn, timeout=TIMEOUT)
            stack.callback(connection.terminate)
            return connection

        async def look(server: Server) -> "asyncpg.Connection[Any]":
            connection = await connect(app_dsn(server))
            await connection.execute(LOOK)
            return connection

        sights = Sights(
            stage,
            await connect(stage.dsn),
            tuple([await look(shard.primary) for shard in stage.shards]),
            tuple([await look(each) for shard in stage.shards for each in shard.replicas]),
        )
        for title, visit in _steps(sights):
            try:
                finding = await visit(sights)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                state = getattr(error, "sqlstate", None)
                finding = Finding("", "?", f"{state or type(error).__name__}: {error}", good=False)
            show(Step(title, finding))


def _steps(sights: Sights) -> list[tuple[str, Visit]]:
    shown = [sights.tenant_on(shard) for shard in range(len(sights.stage.shards))]
    tenants = [tenant for tenant in shown if tenant is not None][:3]
    steps: list[tuple[str, Visit]] = [(f"a read for {tenant}", _Read(tenant)) for tenant in tenants]
    steps += [(f"a write for {tenant}", _Write(tenant)) for tenant in tenants[:2]]
    steps += [
        (f"a transaction for {tenants[0]}, committed", _Transaction(tenants[0], commit=True)),
        (f"a transaction for {tenants[0]}, rolled back", _Transaction(tenants[0], commit=False)),
        ("a session that names its tenant", _SessionTenant(tenants[-1])),
        ("a rule of the schema, enforced by its shard", _Guard(tenants[0])),
    ]
    if sights.replicas:
        steps.append((f"a replica read for {tenants[0]}", _ReplicaRead(tenants[0])))
    steps += [
        ("a fan-out to every shard", _fan_out),
        ("a reference table", _reference),
    ]
    if len(sights.primaries) > 1:
        steps.append(("a statement that is refused", _refused))
        target = next(i for i in reversed(range(len(shown))) if i != sights.stage.owner(tenants[0]))
        steps.append((f"{tenants[0]} moves to another shard while it is used", Move(tenants[0], target)))
    return steps


@dataclass(frozen=True, slots=True)
class _Read:
    """A router query: one shard has the tenant's rows, and answered."""

    tenant: str

    async def __call__(self, sights: Sights) -> Finding:
        truth = [row for row in await sights.straight(READ, self.tenant) if row[1]]
        answer = await sights.ask(READ, self.tenant)
        server, orders, total = answer[0]
        return Finding(
            READ, server, f"{orders:,} orders, {total} in total", good=len(truth) == 1 and answer == truth
        )


@dataclass(frozen=True, slots=True)
class _Write:
    """A new row is on its tenant's shard, and on no other."""

    tenant: str

    async def __call__(self, sights: Sights) -> Finding:
        order = (await sights.ask(NEW_ORDER, self.tenant))[0][0]
        truth = await sights.straight(ORDER, self.tenant, order)
        owner = sights.stage.shards[sights.stage.owner(self.tenant)].name
        where = ", ".join(row[0] for row in truth)
        return Finding(NEW_ORDER, where, f"order {order}", good=truth == [(owner, "new", 1)])


@dataclass(frozen=True, slots=True)
class _Transaction:
    """Two writes and a read between BEGIN and its end: all of it is on the shard, or none."""

    tenant: str
    commit: bool

    async def __call__(self, sights: Sights) -> Finding:
        end = "COMMIT" if self.commit else "ROLLBACK"
        order = (await sights.ask(NEW_ORDER, self.tenant))[0][0]
        transaction = sights.proxy.transaction()
        await transaction.start()
        await sights.proxy.execute(ADVANCE, self.tenant, order, "paid", timeout=TIMEOUT)
        await sights.proxy.execute(RECORD, self.tenant, order, 1, "paid", timeout=TIMEOUT)
        within = await sights.ask(ORDER, self.tenant, order)
        outside = await sights.straight(ORDER, self.tenant, order)
        await (transaction.commit() if self.commit else transaction.rollback())
        truth = await sights.straight(ORDER, self.tenant, order)
        events = sum(row[0] for row in await sights.straight(EVENTS, self.tenant, order))
        server = within[0][0]
        good = (
            within == [(server, "paid", 2)]
            and outside == [(server, "new", 1)]
            and truth == [(server, "paid", 2) if self.commit else (server, "new", 1)]
            and events == int(self.commit)
        )
        sql = f"BEGIN; {ADVANCE}; {RECORD}; {end}"
        return Finding(sql, server, f"order {order} is {truth[0][1]}, with {events} event(s)", good)


@dataclass(frozen=True, slots=True)
class _SessionTenant:
    """A statement without a key goes to the shard of the session's tenant, and sees only that tenant."""

    tenant: str

    async def __call__(self, sights: Sights) -> Finding:
        truth = [row for row in await sights.straight(READ, self.tenant) if row[1]]
        await sights.set(f"SET shardproxy.tenant = '{self.tenant}'")  # a sample name: letters and hyphens
        try:
            answer = await sights.ask(READ_OWN)
        finally:
            await sights.set("RESET shardproxy.tenant")
        server, orders, _ = answer[0]
        sql = f"SET shardproxy.tenant = '{self.tenant}'; {READ_OWN}"
        return Finding(sql, server, f"{orders:,} orders, all of {self.tenant}", good=answer == truth)


@dataclass(frozen=True, slots=True)
class _Guard:
    """PostgreSQL's own error comes back as it is, and nothing has changed."""

    tenant: str

    async def __call__(self, sights: Sights) -> Finding:
        order = (await sights.ask(NEW_ORDER, self.tenant))[0][0]
        said = "nothing was said"
        try:
            await sights.proxy.execute(ADVANCE, self.tenant, order, "delivered", timeout=TIMEOUT)
        except asyncpg.CheckViolationError as error:
            said = f"{error.sqlstate} {error.args[0]}"
        truth = await sights.straight(ORDER, self.tenant, order)
        good = said.startswith("23514") and [row[1:] for row in truth] == [("new", 1)]
        return Finding(ADVANCE, truth[0][0], said, good)


@dataclass(frozen=True, slots=True)
class _ReplicaRead:
    """With shardproxy.read = replica, a replica of the tenant's shard answers."""

    tenant: str

    async def __call__(self, sights: Sights) -> Finding:
        shard = sights.stage.shards[sights.stage.owner(self.tenant)]
        await sights.set("SET shardproxy.read = 'replica'")
        try:
            answer = await sights.ask(CUSTOMERS, self.tenant)
        finally:
            await sights.set("RESET shardproxy.read")
        server = answer[0][0]
        truth = [tuple(await each.fetchrow(CUSTOMERS, self.tenant)) for each in sights.replicas]
        good = server in {replica.name for replica in shard.replicas} and answer[0] in truth
        sql = f"SET shardproxy.read = 'replica'; {CUSTOMERS}"
        return Finding(sql, server, f"{answer[0][1]:,} customers", good)


async def _fan_out(sights: Sights) -> Finding:
    """The rows of all shards, each row once."""
    answer = sorted(await sights.ask(TENANTS))
    truth = sorted(await sights.straight(TENANTS))
    servers = ", ".join(sorted({row[0] for row in answer}))
    good = answer == truth and len(answer) == sights.stage.shape.tenants
    return Finding(TENANTS, servers, f"{len(answer):,} tenants", good)


async def _reference(sights: Sights) -> Finding:
    """The same rows on every shard, read from one."""
    answer = await sights.ask(CURRENCIES)
    truth = [[tuple(row) for row in await each.fetch(CURRENCIES)] for each in sights.primaries]
    same = len({tuple(row[1:] for row in rows) for rows in truth}) == 1
    return Finding(CURRENCIES, answer[0][0], f"{len(answer)} currencies", good=same and answer in truth)


async def _refused(sights: Sights) -> Finding:
    """What cannot be done exactly is refused with a reason, before any shard has seen it."""
    before = await sights.straight(COUNT_ALL)
    said = "it was not refused"
    try:
        await sights.proxy.execute(DELETE_ALL, timeout=TIMEOUT)
    except asyncpg.FeatureNotSupportedError as error:
        said = f"{error.sqlstate} {error.args[0]}; {error.hint}"
    good = said.startswith("0A000") and await sights.straight(COUNT_ALL) == before
    return Finding(DELETE_ALL, "no shard", said, good)
