"""The thin Python client: asyncpg, with tenants named and refusals typed. It imports no server code.

    import asyncio
    from shardproxy.client import Refused, connect

    async def main() -> None:
        async with connect("postgresql://app@127.0.0.1:6432/app", max_size=20) as db:
            acme = db.tenant("acme")
            rows = await acme.fetch("SELECT id, status FROM orders WHERE status = $1", "open")
            async with acme.transaction() as tx:
                await tx.execute("UPDATE orders SET status = 'paid' WHERE id = $1", rows[0]["id"])
            print(await db.route("SELECT * FROM orders WHERE tenant_id = $1", "acme"))
            try:
                await db.fetch("SELECT status, count(*) FROM orders GROUP BY status")
            except Refused as refused:
                print(refused.construct, refused.hint)

    asyncio.run(main())

The package is useful against plain PostgreSQL too (a development database): ``shardproxy.tenant`` is then a
custom setting that nothing reads, and only :meth:`Database.route` needs the proxy.

| file | its one job |
|---|---|
| ``database.py`` | ``connect``, ``Database``, ``Tenant``: who borrows which connection for whom |
| ``queries.py`` | the query methods that database, tenant and transaction share |
| ``transaction.py`` | a transaction and its savepoints |
| ``cursor.py`` | a large result, a batch at a time |
| ``connection.py`` | a pooled connection that remembers its tenant |
| ``statements.py`` | what a statement's text tells without a parser; quoting |
| ``route.py`` | the proxy's explanation of a decision |
| ``errors.py`` | refusals and failures as types |
"""

from shardproxy.client.cursor import Cursor
from shardproxy.client.database import Database, Tenant, connect, current_tenant
from shardproxy.client.errors import NotShardproxy, Refused, Unavailable, WrongTenant
from shardproxy.client.route import RouteDecision
from shardproxy.client.transaction import Transaction

__all__ = [
    "Cursor",
    "Database",
    "NotShardproxy",
    "Refused",
    "RouteDecision",
    "Tenant",
    "Transaction",
    "Unavailable",
    "WrongTenant",
    "connect",
    "current_tenant",
]
