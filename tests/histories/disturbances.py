"""What happens beside the clients of a run. Each of these makes a :data:`tests.histories.runner.Disturbance`."""

import asyncio
import signal
from collections.abc import Sequence
from random import Random

import asyncpg

from shardproxy.demo.cluster import APP_USER
from shardproxy.demo.postgres import Server
from tests.histories.client import Errors
from tests.histories.runner import Disturbance, Progress
from tests.histories.shards import Shards
from tests.support.proxy import Proxy

_TERMINATE = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND usename = '{APP_USER}' AND random() < 0.5
"""


def terminations(shards: Shards, random: Random, every: int = 100) -> Disturbance:
    """Of a random shard's connections half are terminated, again and again; ``every`` counts transactions."""

    async def disturb(progress: Progress) -> None:
        while not progress.enough:
            await progress.more(every)
            server = random.choice(shards.shards).primary
            try:
                connection = await asyncpg.connect(shards.operator_dsn(server))
                await connection.execute(_TERMINATE)
                await connection.close()
            except Errors:  # it is down, by another disturbance
                pass

    return disturb


def crashes(servers: Sequence[Server], random: Random, times: int, every: int = 200) -> Disturbance:
    """A random server is killed and started again, some ``times``; the others must keep the clients going."""

    async def disturb(progress: Progress) -> None:
        for _ in range(times):
            await progress.more(every)
            server = random.choice(servers)
            await asyncio.to_thread(server.kill)
            try:
                await progress.more(every // 10)
            finally:
                await asyncio.to_thread(server.start)

    return disturb


def stopped_sidecars(
    sidecars: Sequence[Proxy], random: Random, times: int, every: int = 200, for_: float = 1.5
) -> Disturbance:
    """A random sidecar is stopped by SIGSTOP for so many seconds and goes on, some ``times``."""

    async def disturb(progress: Progress) -> None:
        for _ in range(times):
            await progress.more(every)
            sidecar = random.choice(sidecars)
            sidecar.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(for_)
            finally:
                sidecar.signal(signal.SIGCONT)

    return disturb


def together(*disturbances: Disturbance) -> Disturbance:
    """All of them at once."""

    async def disturb(progress: Progress) -> None:
        async with asyncio.TaskGroup() as group:
            for each in disturbances:
                group.create_task(_run(each, progress))

    return disturb


async def _run(disturbance: Disturbance, progress: Progress) -> None:
    await disturbance(progress)
