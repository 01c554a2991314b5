"""Which parts of a new configuration a running sidecar can take over."""

from typing import Final

from shardproxy.config.model import Config

FIXED: Final = (
    "database",
    "listen",
    "http",
    "server",
    "shards",
    "catalog",
    "designated",
    "ring",
    "groups",
    "tenant_group",
    "placements",
    "reads.max_lag",
    "reads.max_lag_bytes",
    "reads.probe_interval",
    "timeouts.tcp_user_timeout",
    "timeouts.keepalive_idle",
    "timeouts.keepalive_interval",
    "timeouts.keepalive_count",
    "limits.plan_cache_bytes",
    "log",
)
"""Options that count from the start of the process to its end; a dot leads into a section."""


def merge(old: Config, new: Config) -> tuple[Config, list[str]]:
    """``new`` with the fixed options of ``old``, and the names of those that ``new`` wanted otherwise."""
    kept = []
    for name in FIXED:
        section, _, option = name.partition(".")
        before, wanted = getattr(old, section), getattr(new, section)
        if not option:
            differs, value = before != wanted, before
        else:
            differs = getattr(before, option) != getattr(wanted, option)
            value = wanted.model_copy(update={option: getattr(before, option)})
        if differs:
            kept.append(name)
            new = new.model_copy(update={section: value})
    return new, kept
