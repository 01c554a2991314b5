"""Shards to play with: each a primary and streaming replicas, with a database, a role and a schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from shardproxy.demo.postgres import Run, Server
from shardproxy.demo.run import side_by_side

DATABASE: Final = "shop"
APP_USER: Final = "app"
APP_PASSWORD: Final = "app"  # noqa: S105 - sample data on loopback, printed for the user
_ROLE: Final = f"""
CREATE ROLE {APP_USER} LOGIN PASSWORD '{APP_PASSWORD}' IN ROLE pg_monitor;
CREATE DATABASE {DATABASE} OWNER {APP_USER};
"""


@dataclass(frozen=True, slots=True)
class Shard:
    """The servers of one shard."""

    name: str
    primary: Server
    replicas: tuple[Server, ...] = ()

    @property
    def servers(self) -> tuple[Server, ...]:
        """All of them, the primary first."""
        return (self.primary, *self.replicas)


def shard_names(count: int) -> tuple[str, ...]:
    """``shard-a``, ``shard-b``, ... ``shard-z``, ``shard-27``, ..."""
    return tuple(f"shard-{chr(ord('a') + i) if i < 26 else i + 1}" for i in range(count))


def create_primaries(
    run: Run, names: Sequence[str], schema: str, *, settings: Mapping[str, str] | None = None
) -> list[Server]:
    """New running servers with the database, ``schema`` in it, and the application role, which owns both."""

    def create(name: str) -> Server:
        server = Server.create(run, name, settings=settings).start()
        server.query(_ROLE)
        server.query(f"SET ROLE {APP_USER};\n{schema}", dbname=DATABASE)
        return server

    return side_by_side([partial(create, name) for name in names])


def create_replicas(primaries: Sequence[Server], count: int) -> list[Shard]:
    """``count`` new running replicas for each primary, side by side; they have what the primary has."""

    def create(primary: Server) -> Shard:
        replicas = [
            primary.basebackup(f"{primary.name}-replica-{number}").start() for number in range(1, count + 1)
        ]
        return Shard(primary.name, primary, tuple(replicas))

    return side_by_side([partial(create, primary) for primary in primaries])


def reopen(run: Run, names: Sequence[str], replicas: int) -> list[Shard]:
    """The shards an earlier run left in the run's directory, started again."""

    def start(name: str) -> Shard:
        primary = Server.open(run, name).start()
        followers = [Server.open(run, f"{name}-replica-{number}") for number in range(1, replicas + 1)]
        for replica in followers:
            replica.follow(primary)  # its port may have changed
            replica.start()
        return Shard(name, primary, tuple(followers))

    return side_by_side([partial(start, name) for name in names])


def app_dsn(server: Server) -> str:
    """The application role's DSN for the sample database on one server."""
    return server.dsn(user=APP_USER, password=APP_PASSWORD, dbname=DATABASE)
