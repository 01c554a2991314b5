"""Which modules are compiled leaves, and which build of them is imported."""

from importlib import import_module

COMPILED_MODULES: tuple[str, ...] = (
    "shardproxy.wire.frames",
    "shardproxy.wire.replies",
    "shardproxy.topology.pghash",
    "shardproxy.sql.lexer",
)
"""The leaves. Each is a ``.py`` file with a sibling ``.pxd``, so the same source also runs uncompiled."""


def pure_leaves() -> tuple[str, ...]:
    """The leaves that run as plain Python in this installation; empty in a fully compiled build."""
    return tuple(
        name for name in COMPILED_MODULES if (import_module(name).__file__ or "").endswith((".py", ".pyc"))
    )
