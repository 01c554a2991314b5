"""Which modules are compiled leaves, and which build of them is imported."""

from importlib import import_module

COMPILED_MODULES: tuple[str, ...] = (
    "shardproxy.wire.frames",
    "shardproxy.wire.replies",
    "shardproxy.wire.client_messages",
    "shardproxy.counters",
    "shardproxy.topology.pghash",
    "shardproxy.topology.keys",
    "shardproxy.topology.shard_map",
    "shardproxy.sql.lexer",
    "shardproxy.sql.hints",
    "shardproxy.sql.plan_cache",
    "shardproxy.sql.planner",
    "shardproxy.routing.parameters",
    "shardproxy.routing.bound_keys",
    "shardproxy.routing.router",
    "shardproxy.backend.connection",
    "shardproxy.backend.place",
    "shardproxy.backend.pool",
    "shardproxy.backend.shards",
    "shardproxy.session.transaction",
    "shardproxy.session.state",
    "shardproxy.session.link",
    "shardproxy.session.effects",
    "shardproxy.session.request",
    "shardproxy.session.prepared",
    "shardproxy.session.describe",
    "shardproxy.session.simple",
    "shardproxy.session.extended",
    "shardproxy.session.session",
    "shardproxy.frontend.connection",
)
"""The leaves. Each is a ``.py`` file with a sibling ``.pxd``, so the same source also runs uncompiled."""


def pure_leaves() -> tuple[str, ...]:
    """The leaves that run as plain Python in this installation; empty in a fully compiled build."""
    return tuple(
        name for name in COMPILED_MODULES if (import_module(name).__file__ or "").endswith((".py", ".pyc"))
    )
