"""The same statement through the proxy and on the oracle, in one protocol or driver, and what came back."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import psycopg

MODES = ("simple", "text", "binary", "asyncpg")
REFUSAL = "shardproxy does not run this statement"


@dataclass(frozen=True)
class Outcome:
    """What came back: rows, or the SQLSTATE of an error; ``refused`` when the proxy would not run it."""

    rows: tuple[Any, ...] | None = None
    tag: str | None = None
    sqlstate: str | None = None
    refused: bool = False
    message: str = field(default="", compare=False)


def normalise(rows: list[Any], sql: str) -> tuple[Any, ...]:
    texts = [tuple(repr(value) for value in row) for row in rows]
    return tuple(texts if "ORDER BY" in sql.rpartition(")")[2] else sorted(texts))


Runner = Callable[[Any, str, dict[str, Any]], Outcome]


def _psycopg(connection: psycopg.Connection[Any], cursor: Any, sql: str, values: dict[str, Any]) -> Outcome:
    try:
        cursor.execute(sql, values)
    except psycopg.Error as error:
        return Outcome(sqlstate=error.sqlstate or "driver", refused=REFUSAL in str(error), message=str(error))
    rows = cursor.fetchall() if cursor.description else []
    return Outcome(rows=normalise(rows, sql), tag=cursor.statusmessage)


def simple(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any]) -> Outcome:
    """The simple protocol, values as literals."""
    return _psycopg(connection, psycopg.ClientCursor(connection), sql, values)


def text(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any]) -> Outcome:
    """The extended protocol, text parameters."""
    return _psycopg(connection, connection.cursor(), re.sub(r"%\((\w+)\)s", r"%(\1)t", sql), values)


def binary(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any]) -> Outcome:
    """The extended protocol, binary parameters and rows."""
    return _psycopg(
        connection, connection.cursor(binary=True), re.sub(r"%\((\w+)\)s", r"%(\1)b", sql), values
    )


class Asyncpg:
    """asyncpg: prepared statements, binary both ways, Parse and Describe before the key is known."""

    def __init__(self, dsn: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection = self.loop.run_until_complete(asyncpg.connect(dsn))

    def run(self, sql: str, values: dict[str, Any]) -> Outcome:
        names: list[str] = []

        def place(match: re.Match[str]) -> str:
            if match[1] not in names:
                names.append(match[1])
            return f"${names.index(match[1]) + 1}"

        numbered = re.sub(r"%\((\w+)\)s", place, sql).replace("%%", "%")
        return self.loop.run_until_complete(self._run(numbered, sql, [values[name] for name in names]))

    async def _run(self, numbered: str, sql: str, arguments: list[Any]) -> Outcome:
        try:
            statement = await self.connection.prepare(numbered)
            rows = await statement.fetch(*arguments)
        except asyncpg.PostgresError as error:
            return Outcome(sqlstate=error.sqlstate, refused=REFUSAL in str(error), message=str(error))
        except asyncpg.InterfaceError:
            return Outcome(sqlstate="driver")
        return Outcome(rows=normalise([tuple(row) for row in rows], sql), tag=statement.get_statusmsg())

    def close(self) -> None:
        self.loop.run_until_complete(self.connection.close())
        self.loop.close()


class Pair:
    """The same driver in the same way, on the proxy and on the oracle."""

    def __init__(self, mode: str, proxy_dsn: str, oracle_dsn: str) -> None:
        self.mode = mode
        self.closers: list[Callable[[], None]] = []
        self.proxy = self._runner(mode, proxy_dsn)
        self.oracle = self._runner(mode, oracle_dsn)

    def _runner(self, mode: str, dsn: str) -> Callable[[str, dict[str, Any]], Outcome]:
        if mode == "asyncpg":
            driver = Asyncpg(dsn)
            self.closers.append(driver.close)
            return driver.run
        connection = psycopg.connect(dsn, autocommit=True)
        self.closers.append(connection.close)
        run = {"simple": simple, "text": text, "binary": binary}[mode]
        return lambda sql, values: run(connection, sql, values)

    def close(self) -> None:
        for close in self.closers:
            close()
