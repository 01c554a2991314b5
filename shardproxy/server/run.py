"""``shardproxy serve``: one process from its configuration file to its exit status."""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from shardproxy.catalog.agreement import Disagreement
from shardproxy.compiled import pure_leaves
from shardproxy.config.agreement import placed
from shardproxy.config.load import checked, read
from shardproxy.config.model import Config
from shardproxy.errors import ConfigError
from shardproxy.server.sidecar import Sidecar
from shardproxy.version import VERSION

log = logging.getLogger("shardproxy")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def configure_logging(config: Config) -> None:
    """Log to standard error as the configuration says."""
    handler = logging.StreamHandler(sys.stderr)
    if config.log.format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.log.level.upper())


def run(path: Path) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. Raises ConfigError for a file that cannot be used, also
    because the shards' catalog disagrees with it.

    SIGTERM lets open transactions end, for at most ``timeouts.drain``; a second one stops at once. SIGHUP
    reads the file again; a file with mistakes changes nothing.
    """
    loaded = read(path)
    config = checked(loaded)
    configure_logging(config)
    try:
        return uvloop.run(_serve(path, config))
    except Disagreement as error:
        raise placed(error, loaded) from None


async def _serve(path: Path, config: Config) -> int:
    pure = pure_leaves()
    log.info("shardproxy %s (%s)", VERSION, f"pure Python: {', '.join(pure)}" if pure else "compiled")
    sidecar = Sidecar(config, path)
    loop = asyncio.get_running_loop()
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_stop() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: _reload(sidecar))
    try:
        if await _unless(stop, sidecar.start()):
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait((stopped, sidecar.failed), return_when=asyncio.FIRST_COMPLETED)
            log.info("draining")
            await _unless(hurry, sidecar.drain(sidecar.config.timeouts.drain))
            stopped.cancel()
            if sidecar.failed.done():
                await sidecar.failed
    finally:
        await sidecar.stop()
    log.info("stopped")
    return 0


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do ``work`` until ``event``; whether it came to its end. Raises what it raises."""
    task, waiter = asyncio.create_task(work), asyncio.create_task(event.wait())
    await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if task.done():
        await task
        return True
    task.cancel()
    await asyncio.wait((task,))
    return False


def _reload(sidecar: Sidecar) -> None:
    try:
        kept = sidecar.read_again()
    except ConfigError as error:
        log.error("reload: the file has mistakes, nothing was changed:\n%s", error.message)
        return
    if kept:
        log.warning("reload: a change of %s needs a restart and was not taken", ", ".join(kept))
    log.info("reloaded")
