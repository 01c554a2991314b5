"""The status page: plain HTML, tables, no script."""

from collections.abc import Iterable
from html import escape
from typing import Final

from shardproxy.admin.status import MoveStatus, PoolStatus, ShardStatus, Status
from shardproxy.monitor.servers import ServerState

PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<title>shardproxy</title>
<style>
body {{ font: 14px system-ui, sans-serif; margin: 2em; color: #222 }}
table {{ border-collapse: collapse; margin: 0 0 2em }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3em .8em; text-align: left }}
.bad {{ color: #a00; font-weight: bold }}
</style>
</head>
<body>
<h1>shardproxy {version}</h1>
<p>{readiness}, up {uptime}, {clients} clients, listening on {addresses}.
<a href="/metrics">/metrics</a> <a href="/readyz">/readyz</a></p>
<p>{map}.</p>
{moves}
<h2>Servers</h2>
{servers}
<h2>Pools</h2>
{pools}
<h2>Statements</h2>
{statements}
</body>
</html>
"""

SERVER_COLUMNS: Final = ("shard", "server", "configured as", "is", "for", "timeline", "reads", "lag")
POOL_COLUMNS: Final = ("shard", "role", "server", "idle", "active", "connecting", "clients waiting")
MOVE_COLUMNS: Final = ("move", "of", "from", "to", "now on")
STATEMENT_COLUMNS: Final = ("one shard", "several shards", "any shard", "answered here", "refused")


class _Bad(str):
    """Text that wants attention."""

    __slots__ = ()


def status_page(status: Status) -> str:
    """The page of one moment."""
    proxy = status.counters.proxy
    unready = status.unready
    statements = (proxy.one_shard, proxy.fan_out, proxy.anywhere, proxy.local_answers, proxy.refused.total)
    return PAGE.format(
        version=escape(status.version),
        readiness=_span(_Bad(f"not ready: {', '.join(unready)}") if unready else "ready"),
        uptime=_duration(status.uptime),
        clients=proxy.clients,
        addresses=escape(", ".join(status.addresses) or "nothing"),
        map=_map(status),
        moves=f"<h2>Moves</h2>\n{_table(MOVE_COLUMNS, map(_move, status.moves))}" if status.moves else "",
        servers=_table(
            SERVER_COLUMNS,
            (_server(shard, state, status.now) for shard in status.shards for state in shard.servers),
        ),
        pools=_table(POOL_COLUMNS, map(_pool, status.pools)),
        statements=_table(STATEMENT_COLUMNS, [tuple(map(str, statements))]),
    )


def _map(status: Status) -> str:
    catalog = status.catalog
    if catalog is None:
        return "The map is the configuration's"
    answer = "" if catalog.age is None else f", which answered {_duration(catalog.age)} ago"
    if catalog.failure is not None:
        answer = f", {_span(_Bad(f'which does not answer: {catalog.failure}'))}"
    return (
        f"Map of epoch {status.epoch}, by the catalog of installation {escape(catalog.installation)}{answer}"
    )


def _move(move: MoveStatus) -> tuple[str, ...]:
    return str(move.number), move.what, move.source, move.target, move.owner


def _server(shard: ShardStatus, state: ServerState, now: float) -> tuple[str, ...]:
    if not state.reachable:
        condition: str = _Bad(f"not reachable: {state.failure}")
    elif state.role is not state.server.role:
        condition = _Bad(str(state.role))
    else:
        condition = str(state.role)
    return (
        shard.name,
        state.server.name,
        str(state.server.role),
        condition,
        _duration(now - state.since),
        str(state.timeline or ""),
        "yes" if state.in_rotation else "",
        "" if state.lag_seconds is None else f"{state.lag_seconds:.1f} s, {state.lag_bytes or 0} bytes",
    )


def _pool(pool: PoolStatus) -> tuple[str, ...]:
    waiting = str(pool.waiting)
    return (
        pool.shard,
        pool.role,
        _Bad(f"{pool.server}, behind the map") if pool.behind else pool.server,
        str(pool.idle),
        str(pool.active),
        str(pool.connecting),
        _Bad(waiting) if pool.waiting else waiting,
    )


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_span(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}</table>"


def _span(text: str) -> str:
    return f'<span class="bad">{escape(text)}</span>' if isinstance(text, _Bad) else escape(text)


def _duration(seconds: float) -> str:
    """Days, hours, minutes or seconds, whichever is the largest that fits, with the next smaller one."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
