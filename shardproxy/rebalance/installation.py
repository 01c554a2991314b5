"""Where the shards are and how an operator logs in there."""

from collections.abc import Mapping
from dataclasses import dataclass

from shardproxy.backend.shards import ShardSpec
from shardproxy.errors import ShardproxyError


@dataclass(frozen=True, slots=True)
class Installation:
    """The shards by name, with the operator's logins, and the name of the one whose primary has the
    catalog.
    """

    shards: Mapping[str, ShardSpec]
    catalog: str

    def shard(self, name: str) -> ShardSpec:
        """The shard of that name. Raises ShardproxyError for a name that the configuration does not have."""
        try:
            return self.shards[name]
        except KeyError:
            known = ", ".join(self.shards)
            raise ShardproxyError(
                f'the shard "{name}" is unknown', sqlstate="42704", hint=f"The configuration has {known}."
            ) from None
