"""The errors of the proxy: one root; SQLSTATE, whose fault it is, detail and hint, in PostgreSQL's wording.

Appendix A of the manual lists the SQLSTATE codes. Every error a client sees is one of these or
PostgreSQL's own.
"""

from enum import StrEnum


class Blame(StrEnum):
    """Whose fault an error is; decides the log level and the metric, never what the client is told."""

    CLIENT = "client"
    SERVER = "server"
    PROXY = "proxy"


class ShardproxyError(Exception):
    """Root of all errors.

    ``sqlstate`` is five characters; ``position`` counts characters from 1 in the statement text, as in the
    ``P`` field of ErrorResponse (manual, "Error and Notice Message Fields"); 0 means none.
    """

    sqlstate = "XX000"
    severity = "ERROR"
    blame = Blame.PROXY

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        detail: str | None = None,
        hint: str | None = None,
        position: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        if sqlstate is not None:
            self.sqlstate = sqlstate
        self.detail = detail
        self.hint = hint
        self.position = position


class ProtocolViolation(ShardproxyError):
    """The peer broke the protocol; the connection is closed after this error (08P01)."""

    sqlstate = "08P01"
    severity = "FATAL"
    blame = Blame.CLIENT


class StatementError(ShardproxyError):
    """A statement is wrong in itself, for example a syntax error (42601); worded as PostgreSQL words it."""

    sqlstate = "42601"
    blame = Blame.CLIENT


class Refused(ShardproxyError):
    """The statement is understood and deliberately not run, before any shard was touched (0A000).

    ``construct`` names what is refused in the user's words, for example ``"GROUP BY without the sharding
    key"``.
    """

    sqlstate = "0A000"
    blame = Blame.CLIENT

    def __init__(
        self,
        construct: str,
        *,
        hint: str | None = None,
        detail: str | None = None,
        position: int = 0,
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(
            f"shardproxy does not run this statement: {construct}",
            sqlstate=sqlstate,
            detail=detail,
            hint=hint,
            position=position,
        )
        self.construct = construct


class Unavailable(ShardproxyError):
    """A shard cannot be reached, or its pool is exhausted (08006, 53300, 57P03 ...)."""

    sqlstate = "08006"
    blame = Blame.SERVER


class RouteAgain(ShardproxyError):
    """The map that a route was made by is old, or soon will be. Nothing has happened: route again by a newer.

    Where that cannot be, in the middle of a transaction, it is the client's error: run the transaction again.
    """

    sqlstate = "40001"

    def __init__(self) -> None:
        super().__init__(
            "could not serialize access: rows of the transaction are moving to another shard",
            hint="Run the transaction again.",
        )


class LoginFailed(ShardproxyError):
    """A login was not accepted (28P01, 28000, 3D000); FATAL, as in PostgreSQL."""

    sqlstate = "28P01"
    severity = "FATAL"
    blame = Blame.CLIENT


class ConfigError(ShardproxyError):
    """The configuration cannot be used; the message lists every mistake, one ``file:line:column: key:
    what`` a line.
    """

    sqlstate = "F0000"
