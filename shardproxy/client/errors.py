"""Refusals and failures as types. Everything else PostgreSQL reports stays asyncpg's own exception.

All derive from :class:`asyncpg.PostgresError`, so code that catches that keeps working, and all carry
``sqlstate``, ``detail``, ``hint`` and ``position`` as asyncpg names them (None when the server sent none).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

REFUSAL_PREFIX = "shardproxy does not run this statement: "
"""How the message of every refusal starts; what follows names the construct."""

_INSUFFICIENT_PRIVILEGE = "42501"
_NO_CONNECTION = "08001"
_NOT_RUN = frozenset({_NO_CONNECTION, "08004", "53300", "57P03"})
_UNAVAILABLE = _NOT_RUN | {"08000", "08003", "08006", "57P01", "57P02", "57P05"}


class Refused(asyncpg.PostgresError):  # type: ignore[misc]
    """The proxy understood the statement and did not run it: no shard was touched (SQLSTATE 0A000).

    Sending the same statement again is refused again; ``hint`` says what to write instead.
    """

    @property
    def construct(self) -> str:
        """What is refused, in words, for example ``"GROUP BY without the sharding key"``."""
        return str(self.args[0]).removeprefix(REFUSAL_PREFIX)


class WrongTenant(Refused):
    """The statement's own sharding key names another tenant than the session does (SQLSTATE 42501)."""


class Unavailable(asyncpg.PostgresError):  # type: ignore[misc]
    """The sidecar or a shard cannot be reached, is shutting down, or has no free connection.

    SQLSTATE class 08 without protocol violations, 53300, 57P01, 57P02, 57P03, 57P05; 08001 when the sidecar
    itself did not accept the connection.
    """

    @property
    def in_doubt(self) -> bool:
        """False: the statement certainly did not run, so running it again is safe. True: it may have run."""
        return self.sqlstate not in _NOT_RUN


class NotShardproxy(asyncpg.InterfaceError):  # type: ignore[misc]
    """The server is not shardproxy, and the call has a meaning only there. Nothing was run."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise the types above in place of asyncpg's, with asyncpg's exception as ``__cause__``."""
    try:
        yield
    except asyncpg.PostgresError as error:
        kind = _kind(error)
        if kind is None:
            raise
        raise _as(kind, error) from error


@contextmanager
def translated_connect() -> Iterator[None]:
    """As :func:`translated`, for a step that may connect: a socket that fails is :class:`Unavailable` too."""
    try:
        with translated():
            yield
    except OSError as error:
        if isinstance(error, TimeoutError):  # the caller's own limit, which says nothing about the sidecar
            raise
        raise unavailable(_NO_CONNECTION, f"could not connect to the sidecar: {error}") from error


def unavailable(sqlstate: str, message: str) -> Unavailable:
    """An Unavailable that the client itself found, not the server."""
    error = Unavailable(message)
    error.sqlstate = sqlstate
    return error


def _kind(error: asyncpg.PostgresError) -> type[asyncpg.PostgresError] | None:
    """The type to raise in place of ``error``; None to leave it, also when it is one of ours already."""
    if isinstance(error, (Refused, Unavailable)):
        return None
    if str(error.args[0] if error.args else "").startswith(REFUSAL_PREFIX):
        return WrongTenant if error.sqlstate == _INSUFFICIENT_PRIVILEGE else Refused
    return Unavailable if error.sqlstate in _UNAVAILABLE else None


def _as(kind: type[asyncpg.PostgresError], error: asyncpg.PostgresError) -> asyncpg.PostgresError:
    translated_error = kind(*error.args)
    translated_error.sqlstate = error.sqlstate  # asyncpg keeps it on the class where it knows the code
    translated_error.__dict__.update(error.__dict__)
    return translated_error
