"""The model turned into other packages' values; the only place where options change shape."""

from dataclasses import dataclass

from shardproxy.config.model import Address, Config, Shard, Table
from shardproxy.config.model.tables import FAMILIES
from shardproxy.config.names import parse_identifier, parse_relation
from shardproxy.config.rules.spread import placements
from shardproxy.secret import Secret
from shardproxy.topology import shard_map as topology
from shardproxy.topology.tables import Local, Reference, Sharded, TableRule, TableRules


@dataclass(frozen=True, slots=True)
class ShardLogin:
    """The role, password and database the proxy uses on one shard, the shard's own options applied."""

    user: str
    password: Secret | None
    database: str


def table_rules(config: Config) -> TableRules:
    """How each table of the configuration is spread."""
    return TableRules(
        rules={parse_relation(name): _rule(table, config) for name, table in config.tables.items()},
        groups={name: FAMILIES[group.type] for name, group in config.groups.items()},
        tenant_group=config.tenant_group_name,
    )


def shard_map(config: Config) -> topology.ShardMap:
    """The map that the configuration's ring and placements give, as epoch 0."""
    return topology.build(
        [topology.ShardSpec(shard.name, shard.weight) for shard in config.shards],
        table_rules(config),
        placements={(group, key): shard for _, group, key, shard in placements(config)},
        vnodes=config.ring.virtual_nodes,
        designated=config.designated,
    )


def shard_login(config: Config, shard: Shard) -> ShardLogin:
    """The login on ``shard``: its own user, password and database, else those of ``server``.

    A shard that names its own user never gets the password of another one.
    """
    own_password = shard.password is not None or shard.user is not None
    return ShardLogin(
        user=shard.user or config.server.user or "",
        password=shard.password if own_password else config.server.password,
        database=shard.database or config.server.database or config.database,
    )


def servers(shard: Shard) -> tuple[Address, ...]:
    """The addresses of a shard's servers, its primary first."""
    return (shard.primary, *shard.replicas)


def _rule(table: Table, config: Config) -> TableRule:
    if table.key is not None:
        return Sharded(parse_identifier(table.key), table.group or config.tenant_group_name)
    return Local(table.local) if table.local is not None else Reference()
