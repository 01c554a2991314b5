"""What each path answers, made from one :class:`Status`: ``/metrics``, ``/healthz``, ``/readyz`` and
``/``.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST

from shardproxy.admin.metrics import render
from shardproxy.admin.status import ShardStatus, Status
from shardproxy.admin.status_page import status_page


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, without what every answer has."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """How a path is answered; ``slow``: not on the event loop."""

    make: Callable[[Status], Answer]
    slow: bool = False


def plain(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """One line of text."""
    return Answer(status, "text/plain; charset=utf-8", f"{text}\n".encode(), headers or {})


def metrics(status: Status) -> Answer:
    """The metrics in Prometheus's text format."""
    return Answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, render(status))


def healthz(status: Status) -> Answer:
    """The process is alive: 200, whatever the shards do, for a restart would not help them."""
    return plain(HTTPStatus.OK, "ok")


def readyz(status: Status) -> Answer:
    """Clients may be sent here: 200, else 503; the reasons and each shard's servers as JSON."""
    body: dict[str, Any] = {
        "ready": not status.unready,
        "reasons": status.unready,
        "shards": {shard.name: _shard(shard) for shard in status.shards},
    }
    code = HTTPStatus.SERVICE_UNAVAILABLE if status.unready else HTTPStatus.OK
    return Answer(code, "application/json", json.dumps(body, indent=1).encode() + b"\n")


def _shard(shard: ShardStatus) -> dict[str, Any]:
    return {
        "writable": shard.writable,
        "primary": shard.primary,
        "servers": {
            state.server.name: {
                "configured": state.server.role,
                "reachable": state.reachable,
                "role": state.role,
                "in_rotation": state.in_rotation,
                "lag_seconds": state.lag_seconds,
                "lag_bytes": state.lag_bytes,
            }
            for state in shard.servers
        },
    }


def front(status: Status) -> Answer:
    """The status page, for people."""
    return Answer(HTTPStatus.OK, "text/html; charset=utf-8", status_page(status).encode())


PAGES: Final[Mapping[str, Page]] = {
    "/": Page(front),
    "/metrics": Page(metrics, slow=True),
    "/healthz": Page(healthz),
    "/readyz": Page(readyz),
}
