"""How traffic is carried: pools, timeouts, limits, reads and the log."""

from typing import Annotated, Literal

from pydantic import Field

from shardproxy.config.model.section import Section
from shardproxy.config.model.units import DAY, GB, HOUR, KB, MB, Duration, Size
from shardproxy.routing.route import ReadPolicy


class Pool(Section):
    """Server connections. Each shard has one pool for its primary and one for each replica."""

    mode: Literal["transaction"] = Field(
        default="transaction",
        description="transaction: a server connection is lent for one transaction; session state is kept.",
    )
    size: int = Field(
        default=10, ge=1, le=10_000, description="Most server connections to each shard's primary."
    )
    replica_size: int = Field(
        default=10, ge=1, le=10_000, description="Most server connections to each replica."
    )
    wait_timeout: Annotated[float, Duration(0.001, HOUR)] = Field(
        default=30.0,
        description="Longest wait for a free server connection; then the statement fails with 53300.",
    )
    idle_timeout: Annotated[float | None, Duration(0.1, DAY, optional=True)] = Field(
        default=600.0, description="A server connection unused for this long is closed; off: never."
    )
    max_lifetime: Annotated[float | None, Duration(1.0, 30 * DAY, optional=True)] = Field(
        default=3600.0,
        description="A server connection older than this is closed when it is free; off: never.",
    )


class Timeouts(Section):
    """How long to wait for the other side."""

    login: Annotated[float, Duration(0.1, HOUR)] = Field(
        default=10.0, description="Longest time from an application's connect to the end of its login."
    )
    server_connect: Annotated[float, Duration(0.01, HOUR)] = Field(
        default=2.0, description="Longest time to open a socket to a server."
    )
    server_login: Annotated[float, Duration(0.01, HOUR)] = Field(
        default=10.0, description="Longest time from an open socket to the end of the login on a server."
    )
    tcp_user_timeout: Annotated[float | None, Duration(0.1, HOUR, optional=True)] = Field(
        default=2.0,
        description="Unacknowledged data closes a connection after this (TCP_USER_TIMEOUT); off: see tcp(7).",
    )
    keepalive_idle: Annotated[float, Duration(1.0, HOUR)] = Field(
        default=10.0, description="Silence after which TCP keepalives are sent (TCP_KEEPIDLE), whole seconds."
    )
    keepalive_interval: Annotated[float, Duration(1.0, HOUR)] = Field(
        default=3.0, description="Time between keepalives (TCP_KEEPINTVL), whole seconds."
    )
    keepalive_count: int = Field(
        default=3, ge=1, le=100, description="Unanswered keepalives that close a connection (TCP_KEEPCNT)."
    )
    drain: Annotated[float, Duration(0.0, DAY)] = Field(
        default=30.0,
        description="After SIGTERM, how long open transactions may take to end before they are cut off.",
    )
    move_wait: Annotated[float, Duration(0.1, DAY)] = Field(
        default=10.0,
        description=(
            "How long a statement waits while its rows are handed over to another shard; then it fails with "
            "40001."
        ),
    )


class Limits(Section):
    """Bounds on what clients can make the proxy hold."""

    clients: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Most client connections; more are refused with 53300.",
    )
    max_message_size: Annotated[int, Size(64 * KB, GB)] = Field(
        default=256 * MB,
        description="Largest protocol message accepted from a client; a larger one ends its session.",
    )
    plan_cache_bytes: Annotated[int, Size(0, 16 * GB)] = Field(
        default=64 * MB, description="Memory for plans of statements, shared by all sessions."
    )
    prepared_statements: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="Most prepared statements on each server connection; the least recently used is closed.",
    )
    wait_queue: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Most sessions that wait for a connection of one pool; more fail at once with 53300.",
    )


class Reads(Section):
    """Where provably read-only statements outside a transaction go, and when a replica may answer."""

    default: ReadPolicy = Field(
        default=ReadPolicy.PRIMARY,
        description="shardproxy.read of a session that has not set it: primary, replica or causal.",
    )
    max_lag: Annotated[float | None, Duration(0.1, DAY, optional=True)] = Field(
        default=10.0, description="A replica further behind its primary than this is not read; off: no limit."
    )
    max_lag_bytes: Annotated[int | None, Size(0, 1024 * GB, optional=True)] = Field(
        default=None, description="The same in bytes of WAL; off: no limit."
    )
    fallback: Literal["primary", "error"] = Field(
        default="primary",
        description="When no replica may be read: primary reads there, error fails the statement.",
    )
    probe_interval: Annotated[float, Duration(0.05, HOUR)] = Field(
        default=0.5, description="Time between looks at each server's role and lag."
    )


class Log(Section):
    """The proxy's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least important message that is written."
    )
    format: Literal["text", "json"] = Field(
        default="text", description="text: lines for people; json: one object a line."
    )
