"""The shards and the ring that spreads buckets over them."""

from pydantic import Field

from shardproxy.config.model.access import Credential
from shardproxy.config.model.address import Address
from shardproxy.config.model.section import Section
from shardproxy.topology.ring import DEFAULT_VNODES

SHARD_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"


class Shard(Credential):
    """One shard: a primary and its streaming replicas."""

    name: str = Field(
        pattern=SHARD_NAME,
        description="Letters, digits, '_', '-' and '.'; the ring is made of names, so it stays.",
    )
    weight: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Share of the buckets relative to the other shards: 2 gets twice as many as 1, 0 none.",
    )
    primary: Address = Field(description="Address of the shard's primary server.")
    replicas: tuple[Address, ...] = Field(
        default_factory=tuple, description="Addresses of the primary's streaming replicas."
    )
    user: str | None = Field(
        default=None, min_length=1, max_length=63, description="Role on this shard instead of server.user."
    )
    database: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="Database on this shard instead of server.database.",
    )


class Ring(Section):
    """The consistent-hash ring over the shards."""

    virtual_nodes: int = Field(
        default=DEFAULT_VNODES,
        ge=1,
        le=10_000,
        description="Points on the ring for each unit of weight; more spread the buckets more evenly.",
    )


class Catalog(Section):
    """Where the map lives that all sidecars share, once ``shardproxy init`` has put it there."""

    shard: str | None = Field(
        default=None, description="Shard whose primary holds the catalog; default: the first, or where it is."
    )
