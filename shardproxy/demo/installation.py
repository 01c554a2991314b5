"""The demo's shards as an installation: an operator, a fence on each, and the catalog on the first."""

import asyncio
from collections.abc import Sequence
from functools import partial
from secrets import token_urlsafe
from typing import Final

from shardproxy.catalog import install as fences
from shardproxy.catalog import maps
from shardproxy.catalog.connect import connect
from shardproxy.config import assemble
from shardproxy.config.model import Config
from shardproxy.demo.errors import DemoError
from shardproxy.demo.postgres import Server
from shardproxy.demo.run import side_by_side
from shardproxy.topology.shard_map import ShardMap

OPERATOR: Final = "operator"

_ROLE: Final = """
DO $$ BEGIN
    CREATE ROLE {operator} SUPERUSER LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER ROLE {operator} PASSWORD '{password}';
"""


def make_operator(primaries: Sequence[Server]) -> str:
    """Let the role OPERATOR, which may move tenants, log in with the password that is returned: a new one."""
    password = token_urlsafe(18)
    role = _ROLE.format(operator=OPERATOR, password=password)
    side_by_side([partial(primary.query, role) for primary in primaries])
    return password


async def install(config: Config) -> ShardMap:
    """What ``shardproxy init`` does, where it was not done before; the map in force.

    :raises DemoError: it cannot be done.
    """
    targets = assemble.install_targets(config)
    catalog = config.shards[config.catalog_index].name
    plan = await fences.plan(targets, catalog)
    if plan.mistakes:
        raise DemoError("; ".join(plan.mistakes))
    await fences.install(plan, targets, assemble.shard_map(config))
    server = next(target.server for target in targets if target.name == catalog)
    async with asyncio.timeout(30):
        connection = await connect(server, "shardproxy demo")
        try:
            return await maps.read(connection)
        finally:
            connection.terminate()
