"""Where a statement goes: its plan, its values, the session's wishes and the shard map become a Route.

One rule decides: collect every shard on which the statement has rows to touch. One shard: it runs there, as
it is. None: no row can match, so any shard gives the answer. Several: only where running the same text on
each and concatenating is proven to be PostgreSQL's answer, and refused otherwise.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shardproxy.errors import Refused
from shardproxy.routing.bound_keys import bound_keys, single_key
from shardproxy.routing.moves import during_moves
from shardproxy.routing.parameters import Values
from shardproxy.routing.route import Anywhere, FanOut, OneShard, ReadPolicy, Role, Route
from shardproxy.sql.statement import KeySet, Reach, Statement
from shardproxy.topology.keys import Key, to_text
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Sharded

BY_KEY: Final = "the shard that owns its key"
BY_TENANT: Final = "the shard of the session's tenant"
BY_TABLE: Final = "its table is local to that shard"
ONLY_SHARD: Final = "there is only one shard"
NO_KEY: Final = "no row can match: every key is NULL"
TO_MEET: Final = "the shard where sessions meet that have no tenant"
NO_TABLE: Final = "every shard gives the same answer"
SEVERAL: Final = "rows from several shards, concatenated"

# Looking up an enum's member costs more than comparing with it.
_ANYWHERE, _KEYED, _UNBOUND, _LOCAL, _REFUSED = Reach
_PRIMARY, _REPLICA, _CAUSAL = Role
_PRIMARY_POLICY, _REPLICA_POLICY, _ = ReadPolicy


@dataclass(frozen=True, slots=True)
class RoutingContext:
    """What the session adds to a statement.

    ``tenant`` is the key in ``shardproxy.tenant``, canonical; None: not set. ``in_transaction``: a
    transaction block is open. ``fan_out_allowed`` is False where an answer from several shards cannot be
    given, for example to a portal that is fetched row by row.
    """

    tenant: Key | None = None
    read: ReadPolicy = ReadPolicy.PRIMARY
    in_transaction: bool = False
    fan_out_allowed: bool = True


def route(statement: Statement, values: Values, context: RoutingContext, shard_map: ShardMap) -> Route:
    """The one place that decides where ``statement`` runs.

    Raises Refused (0A000; 42501 for a key of another tenant than the session's; 23502 for an INSERT without a
    key), InvalidKey for a key value that is not of the key's type, StatementError for a missing parameter.
    """
    found = _route(statement, values, context, shard_map)
    if shard_map.moves:
        return during_moves(found, statement, values, context.tenant, shard_map)
    return found


def _route(statement: Statement, values: Values, context: RoutingContext, shard_map: ShardMap) -> Route:
    """Where it runs while nothing moves."""
    if (
        len(shard_map.present) == 1
        and context.tenant is None
        and statement.reach in (_KEYED, _UNBOUND, _LOCAL)
    ):
        only = shard_map.present[0]
        return _one_shard(only, _role(statement, context), ONLY_SHARD, shard_map.shard_epochs[only])
    single = statement.single
    if single is not None:
        family = single.family
        key = single_key(single.sources[0], family, values)
        if key is not None:
            if context.tenant is not None:
                _check_tenant(single, key, context.tenant, shard_map)
            shard = shard_map.owner(single.group, family, key)
            return _one_shard(shard, _role(statement, context), BY_KEY, shard_map.shard_epochs[shard])
    return _route_by_shards(statement, values, context, shard_map)


def _route_by_shards(
    statement: Statement, values: Values, context: RoutingContext, shard_map: ShardMap
) -> Route:
    """The general way; :func:`route` is its short cut for one key."""
    reach = statement.reach
    role = _role(statement, context)
    if reach is _REFUSED:
        raise _refusal(statement)
    if reach is _ANYWHERE:
        if statement.notifies:
            meeting = shard_map.designated
            return _one_shard(meeting, role, TO_MEET, shard_map.shard_epochs[meeting])
        if context.tenant is None:
            return Anywhere(role, TO_MEET if statement.locks else NO_TABLE, meets=statement.locks)
        if statement.catalog:
            # One shard's catalog, so that object identifiers agree; a block must not begin beside its tenant.
            own = _tenant_shard(context.tenant, shard_map) if context.in_transaction else None
            return Anywhere(role, NO_TABLE, own)
        shard = _tenant_shard(context.tenant, shard_map)
        return _one_shard(shard, role, BY_TENANT, shard_map.shard_epochs[shard])
    shards, reason = _concerned_shards(statement, values, context, shard_map)
    if len(shards) == 1:
        shard = shards.pop()
        return _one_shard(shard, role, reason, shard_map.shard_epochs[shard])
    if not shards:
        return Anywhere(_PRIMARY, NO_KEY)
    if not statement.fan_out or _independent_parts(statement) > 1:
        raise _refusal(statement)
    if context.in_transaction:
        raise Refused(
            "reading several shards inside a transaction block",
            hint="Name one key, or run the statement outside a transaction block.",
        )
    if not context.fan_out_allowed:
        raise Refused("reading several shards here", hint="Name one key, or run it as a plain query.")
    epochs = {number: shard_map.shard_epochs[number] for number in shards}
    return FanOut(tuple(sorted(shards)), role, SEVERAL, epochs)


def _concerned_shards(
    statement: Statement, values: Values, context: RoutingContext, shard_map: ShardMap
) -> tuple[set[int], str]:
    """Every shard that has rows the statement may touch, and why; a key set of NULLs has none."""
    shards: set[int] = set()
    named: set[tuple[str, Key]] = set()
    reason = BY_KEY
    for key_set in statement.key_sets:
        for key in bound_keys(key_set, values):
            if key is None:
                _check_no_insert(statement, key_set)
                continue
            named.add((key_set.group, key))
            if context.tenant is not None:
                _check_tenant(key_set, key, context.tenant, shard_map)
            shards.add(shard_map.owner(key_set.group, key_set.family, key))
    for key_set in statement.key_sets:
        if key_set.kept:
            _check_kept(key_set, named)
    if statement.reach is _LOCAL:
        shards.add(shard_map.index[statement.local_shard or ""])
        reason = BY_TABLE
    if statement.reach is _UNBOUND or statement.unbound:
        if context.tenant is not None and _tenant_binds(statement, shard_map):
            shards.add(_tenant_shard(context.tenant, shard_map))
            reason = BY_TENANT
        else:
            shards.update(shard_map.present)
    return shards, reason


def _independent_parts(statement: Statement) -> int:
    """How many sets of rows the statement draws on that may live on different shards.

    Concatenation is sound for one: rows of two parts meet only on a shard that has both.
    """
    unbound = statement.reach is _UNBOUND or bool(statement.unbound)
    return len(statement.key_sets) + unbound + (statement.reach is _LOCAL)


def _tenant_binds(statement: Statement, shard_map: ShardMap) -> bool:
    """Whether the session's tenant says where the relations without a key are: all are of its group.

    Code that may touch any table names none; then every sharded table has to be. A sequence has no group.
    """
    if statement.sequence:
        return True
    tables = shard_map.tables
    rules = [tables.rules.get(relation) for relation in statement.unbound]
    if not rules:
        rules = [rule for rule in tables.rules.values() if isinstance(rule, Sharded)]
    return all(isinstance(rule, Sharded) and rule.group == tables.tenant_group for rule in rules)


def _tenant_shard(tenant: Key, shard_map: ShardMap) -> int:
    group = shard_map.tables.tenant_group
    return shard_map.owner(group, shard_map.tables.groups[group], tenant)


def _check_tenant(key_set: KeySet, key: Key, tenant: Key, shard_map: ShardMap) -> None:
    if key != tenant and key_set.group == shard_map.tables.tenant_group:
        named, own = to_text(key_set.family, key), to_text(key_set.family, tenant)
        raise Refused(
            f'it names the tenant "{named}", and the session\'s tenant is "{own}"',
            hint="SET or RESET shardproxy.tenant to work with another tenant.",
            sqlstate="42501",
        )


def _check_kept(key_set: KeySet, named: set[tuple[str, Key]]) -> None:
    """Refuse an UPDATE that sets a key to another than the one that it finds its rows by."""
    if sum(group == key_set.group for group, _ in named) > 1:
        raise Refused(
            "changing the sharding key of a row",
            hint="Delete the row and insert it under its new key.",
        )


def _check_no_insert(statement: Statement, key_set: KeySet) -> None:
    if key_set.kept or statement.tag in ("INSERT", "MERGE", "COPY"):
        raise Refused(
            "a row without a sharding key (it is NULL)",
            hint="Name the sharding key's column and give it a value.",
            sqlstate="23502",
        )


def _refusal(statement: Statement) -> Refused:
    """A new error each time: one that a plan keeps would collect the tracebacks of all its sessions."""
    kept = statement.refusal
    if kept is None:
        return Refused(
            "its rows live on several shards",
            hint="Compare the sharding key of every table with one value, or SET shardproxy.tenant.",
        )
    return Refused(
        kept.construct, hint=kept.hint, detail=kept.detail, position=kept.position, sqlstate=kept.sqlstate
    )


def _role(statement: Statement, context: RoutingContext) -> Role:
    if context.read is _PRIMARY_POLICY or context.in_transaction or not statement.read_only:
        return _PRIMARY
    return _REPLICA if context.read is _REPLICA_POLICY else _CAUSAL


@lru_cache(maxsize=4096)
def _one_shard(shard: int, role: Role, reason: str, epoch: int) -> OneShard:
    return OneShard(shard, role, reason, epoch)
