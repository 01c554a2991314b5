"""The words that scripts are written in, and :data:`SCRIPTS`, where they are collected."""

from shardproxy.wire.client_messages import bind, describe, execute, parse, query
from tests.support.wire_client import Step

TENANT = "hooli"
MINE = "SELECT code, percent FROM coupons WHERE tenant_id = 'hooli'"
ALL = f"{MINE} ORDER BY code"
INSERT = "INSERT INTO coupons VALUES ('hooli', '{}', {})"
BY_KEY = b"SELECT code, percent FROM coupons WHERE tenant_id = $1 ORDER BY code"
ADD = b"INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, $2, $3)"
SERIES = b"SELECT i FROM generate_series(1, 7) AS i"

Script = tuple[bytes | Step, ...]
SCRIPTS: dict[str, Script] = {}


def q(sql: str) -> bytes:
    """A simple query."""
    return query(sql.encode())


def insert(code: str, percent: object = 1) -> str:
    """A row of the tenant."""
    return INSERT.format(code, percent)


def ext(sql: str, *values: bytes | None, results: tuple[int, ...] = ()) -> bytes:
    """Parse, Bind, Describe and Execute without names; no Sync."""
    return (
        parse(b"", sql.encode())
        + bind(b"", b"", values=values, result_formats=results)
        + describe(b"P", b"")
        + execute()
    )


def add(name: str, *steps: bytes | Step) -> None:
    """A script; what was done is looked at in its end."""
    assert name not in SCRIPTS, name
    SCRIPTS[name] = steps


def add_copy(name: str, *steps: bytes | Step) -> None:
    """The same for COPY FROM STDIN, whose rows the proxy does not look into: the session names the tenant."""
    add(name, q("SET shardproxy.tenant = 'hooli'"), *steps)
