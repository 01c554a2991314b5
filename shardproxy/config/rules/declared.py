"""The names a file defines, also those of unusable entries, so that one mistake is not reported as two."""

from collections.abc import Iterable
from dataclasses import dataclass

from shardproxy.config.document import ListNode, MapNode, ScalarNode, child
from shardproxy.config.explain import closest


@dataclass(frozen=True, slots=True)
class Declared:
    """Names of shards and colocation groups in the order of the file; empty: it has none."""

    shards: tuple[str, ...]
    groups: tuple[str, ...]

    def missing_shard(self, name: str) -> str | None:
        """The message for a shard that does not exist, None when it does or the file has no shards at all."""
        if name in self.shards or not self.shards:
            return None
        return f"there is no shard '{name:.80}'{closest(name, self.shards)} (shards: {_some(self.shards)})"

    def missing_group(self, name: str, known: Iterable[str]) -> str | None:
        """The message for a group that does not exist, None when it does; ``known`` are the usable groups."""
        names = tuple(dict.fromkeys((*self.groups, *known)))
        if name in names:
            return None
        near = closest(name, names)
        return f"there is no group '{name:.80}'{near} (groups: {_some(names)}); define it under groups"


def declared(root: MapNode) -> Declared:
    """The names in a tree of which nothing has been taken out yet."""
    shards, groups = root.entries.get("shards"), root.entries.get("groups")
    names = [child(item, "name") for item in (shards.items if isinstance(shards, ListNode) else [])]
    return Declared(
        tuple(name.text for name in names if isinstance(name, ScalarNode) and name.text is not None),
        tuple(groups.entries) if isinstance(groups, MapNode) else (),
    )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
