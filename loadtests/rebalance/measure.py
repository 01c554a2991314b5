"""An application at work while a command runs beside it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.rebalance.application import Application
from loadtests.rebalance.report import Measurement
from loadtests.rebalance.servers import MOVING, OTHERS_ACCOUNTS, others
from loadtests.rebalance.timeline import Phase


@dataclass(frozen=True, slots=True)
class Load:
    """The application: transactions per second on the moving tenant and on the others, the moving one's
    accounts, connections of each, seconds before and after the command, and how many others there are.
    """

    rate: float = 200.0
    others_rate: float = 200.0
    accounts: int = 100_000
    connections: int = 40
    before: float = 5.0
    after: float = 5.0
    tenants: int = 20


async def measure(dsns: Sequence[str], load: Load, command: Sequence[str]) -> Measurement:
    """Run ``command`` while the application uses ``dsns``. What the command prints is printed."""
    moving = Application("moving", [MOVING], load.accounts, load.rate, load.connections)
    names = others(load.tenants)
    rest = Application("others", names, OTHERS_ACCOUNTS, load.others_rate, load.connections)
    applications = [moving, rest]
    for each in applications:
        await each.connect(dsns)
    over = asyncio.Event()
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for each in applications:
            group.create_task(each.run(began, over))
        await asyncio.sleep(load.before)
        started = time.monotonic() - began
        process = await asyncio.create_subprocess_exec(*command)
        status = await process.wait()
        ended = time.monotonic() - began
        await asyncio.sleep(load.after)
        over.set()
    for each in applications:
        await each.close()
    samples = sorted((sample for each in applications for sample in each.samples), key=lambda each: each.due)
    phases = (
        Phase("before", 0, started),
        Phase("during", started, ended),
        Phase("after", ended, max(ended, *(sample.due for sample in samples)) + 1e-9),
    )
    settings = {
        "rate": load.rate,
        "others_rate": load.others_rate,
        "accounts": load.accounts,
        "tenants": load.tenants,
    }
    return Measurement(tuple(command), status, settings, phases, tuple(samples))
