"""What the sidecar knows of the shards' schema: read at the start, after DDL, and now and then; compared
across shards.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shardproxy.backend.driver import FAULTS, connect, reason
from shardproxy.backend.server import Login
from shardproxy.backend.shards import ShardSpec
from shardproxy.monitor.schema_diff import differences
from shardproxy.monitor.schema_reader import read_schema
from shardproxy.sql.schema import Schema
from shardproxy.topology.tables import TableRules

log = logging.getLogger(__name__)

APPLICATION_NAME = "shardproxy schema"
TIMEOUT = 10.0
DEFAULTS = (
    *("search_path", "TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits", "bytea_output"),
    *("default_text_search_config", "default_transaction_isolation"),
)
"""Settings on which it depends what statements mean and how answers look. Roles, databases and servers may
have defaults of their own; those of the first shard that is read hold on all, as if they were one.
"""

_DEFAULTS = """
SELECT each.name, pg_catalog.current_setting(each.name)
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS each (name)
"""

PERIOD = 30.0
RETRY = 1.0


@dataclass(frozen=True, slots=True)
class Known:
    """A reading: the schema, and what the sessions of our ``login`` begin with, by the names in
    :data:`DEFAULTS`.
    """

    schema: Schema
    defaults: Mapping[str, str]
    login: Login


class Knowledge:
    """Keeps the schema read. ``on_change`` is called with the first reading and with each that differs.

    ``specs`` are the shards whose schemas it is, that which counts first; ``rules`` say how tables are
    spread.
    """

    def __init__(
        self, specs: Sequence[ShardSpec], rules: TableRules, on_change: Callable[[Known], None]
    ) -> None:
        self.specs = tuple(specs)
        self.rules = rules
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._known: Known | None = None
        self._told: set[str] = set()
        self._owner: asyncio.Task[None] | None = None

    def changed(self) -> None:
        """The schema may have changed: read it again soon."""
        self._wanted.set()

    async def start(self) -> None:
        """Read once, then keep reading in the background until :meth:`stop`; a first failure is retried
        there.
        """
        await self._read()
        self._owner = asyncio.create_task(self._follow(), name="schema")

    async def stop(self) -> None:
        """Stop reading."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.cancel()
            await asyncio.wait((owner,))

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PERIOD if self._known is not None else RETRY):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            await self._read()

    async def _read(self) -> None:
        """One reading of all shards; the first that answers is what we know, the others are compared with
        it.
        """
        specs = self.specs
        results = await asyncio.gather(*(_read_one(spec) for spec in specs))
        readings = [(spec, known) for spec, known in zip(specs, results, strict=True) if known is not None]
        if not readings:
            if self._known is None:
                log.error("the schema could not be read from any shard; clients are refused until it is")
            return
        (first_spec, first), *others = readings
        for spec, other in others:
            for difference in differences(
                first.schema, other.schema, self.rules, (first_spec.name, spec.name)
            ):
                text = difference.what
                if text not in self._told:
                    self._told.add(text)
                    log.warning("schemas differ: %s", text)
        before = self._known
        if (
            before is None
            or before.schema.version != first.schema.version
            or before.defaults != first.defaults
        ):
            self._known = first
            self._on_change(first)


async def _read_one(spec: ShardSpec) -> Known | None:
    """The schema on a shard's primary; None, with a warning, when it cannot be read."""
    server = spec.primary
    try:
        connection = await connect(
            server.address,
            server.login,
            APPLICATION_NAME,
            timeout=TIMEOUT,
            command_timeout=TIMEOUT,
            settings={"search_path": None},
        )
        try:
            defaults = await connection.fetch(_DEFAULTS, DEFAULTS)
            return Known(await read_schema(connection), dict(defaults), server.login)
        finally:
            await connection.close(timeout=TIMEOUT)
    except FAULTS as fault:
        log.warning('the schema of shard "%s" could not be read: %s', spec.name, reason(fault))
        return None
