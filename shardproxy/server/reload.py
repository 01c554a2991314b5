"""Which parts of a new configuration a running sidecar can take over."""

from collections.abc import Sequence
from typing import Final

from shardproxy.config.model import Config, Shard

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


AGREED: Final = ("shards", "ring", "groups", "tenant_group", "placements")
"""Those of them that a catalog's map decides: a file has been found to agree with it, or they are wishes."""


def merge(old: Config, new: Config, *, installed: bool) -> tuple[Config, list[str]]:
    """``new`` with the fixed options of ``old``, and the names of those that ``new`` wanted otherwise.

    ``installed``: a catalog's map counts, so that shards can come and go; those that stay keep their servers.
    """
    kept: list[str] = []
    if installed:
        shards, kept = _merge_shards(old.shards, new.shards)
        new = new.model_copy(update={"shards": shards})
    for name in FIXED:
        if installed and name in AGREED:
            continue
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


def _merge_shards(old: Sequence[Shard], new: Sequence[Shard]) -> tuple[tuple[Shard, ...], list[str]]:
    """The new shards with the servers that they had; which of them are said to have others now."""
    before = {shard.name: shard for shard in old}
    merged, kept = [], []
    for wanted in new:
        shard = before.get(wanted.name, wanted).model_copy(update={"weight": wanted.weight})
        if shard != wanted:
            kept.append(f"shards.{wanted.name}")
        merged.append(shard)
    return tuple(merged), kept
