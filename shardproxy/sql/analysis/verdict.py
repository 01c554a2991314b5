"""From what analysis found to what routing is told: reach, key sets, and the refusal to give where several
shards are concerned.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql.analysis.bind import Binder, Bound
from shardproxy.sql.analysis.build_change import changed_key, unknown_key
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.fan_out import obstacle
from shardproxy.sql.analysis.functions import FunctionUse
from shardproxy.sql.analysis.levels import Level
from shardproxy.sql.analysis.names import Nature, Target
from shardproxy.sql.analysis.parameters import check_parameters
from shardproxy.sql.analysis.values import Form
from shardproxy.sql.statement import KeySet, Kind, Reach, Statement
from shardproxy.topology.tables import Local, RelationName, Sharded

READING_HINT: Final = (
    "Declare it under trusted_functions if it stays with the tenant, or IMMUTABLE if it reads no tables."
)
_OWN: Final = (Nature.SHARDED, Nature.REFERENCE, Nature.LOCAL)


def judge(context: Context, level: Level, kind: Kind, tag: str) -> Statement:
    """The statement whose levels are ``level`` and below. Raises Refused for one that can run nowhere."""
    check_targets(context.targets.values())
    binder = Binder(context.variables, dict(context.names.rules.groups))
    binder.bind(level)
    relations = tuple(
        dict.fromkeys(target.ruled for target in context.targets.values() if target.nature in _OWN)
    )
    catalog = any(target.nature is Nature.SYSTEM for target in context.targets.values())
    use = context.use
    statement = Statement(
        kind=kind,
        tag=tag,
        reach=Reach.ANYWHERE,
        relations=relations,
        catalog=catalog or use.notifies,
        notifies=use.notifies,
        locks=use.locks,
        reveals=use.reveals,
        pins=use.pins,
        unlocks=use.unlocks,
        creates=use.creates,
        read_only=_read_only(context),
        foldable=context.values.foldable and not use.values_read,
        reads=_reading_function(use) if use.reads is not None else None,
    )
    shard = _local_shard(context, sharded=bool(binder.bound))
    if binder.bound:
        return _sharded(context, level, binder.bound, statement)
    if statement.reads is not None:
        return replace(statement, reach=Reach.UNBOUND, refusal=statement.reads)
    if shard is not None:
        return replace(statement, reach=Reach.LOCAL, local_shard=shard)
    if use.sequence is not None:
        refusal = Refused(
            f"{use.sequence}() without a sharding key: each shard has a sequence of its own",
            hint="Name the sharding key in the statement, or SET shardproxy.tenant.",
        )
        return replace(statement, reach=Reach.UNBOUND, sequence=True, refusal=refusal)
    if context.found.locking and relations:
        raise Refused("locking rows of a reference table", hint="Each shard has its own copy of the rows.")
    return statement


def check_targets(targets: Iterable[Target]) -> None:
    """Refuse relations about which the configuration says nothing."""
    for target in targets:
        name = target.name[1]
        match target.nature:
            case Nature.UNLISTED:
                raise Refused(
                    f'the table "{target.name[0]}.{name}", which the configuration does not name',
                    hint="Declare it under tables: as sharded, reference or local.",
                )
            case Nature.MIXED:
                raise Refused(
                    f'the table "{target.name[0]}.{name}", whose child tables are spread otherwise',
                    hint="Declare them under tables: alike.",
                )
            case Nature.MISSING:
                raise Refused(
                    f'the table "{target.name[0]}.{name}", which was not found on the shards',
                    hint="Create it on every shard; the schema is read again after that.",
                )
            case Nature.SEQUENCE:
                raise Refused(f'reading the sequence "{name}": each shard has its own')


def _local_shard(context: Context, *, sharded: bool) -> str | None:
    shards = {target.rule.shard for target in context.targets.values() if isinstance(target.rule, Local)}
    if len(shards) > 1:
        raise Refused("tables local to different shards in one statement")
    if shards and sharded:
        raise Refused("a local table and a sharded table in one statement")
    if shards and context.use.reads is not None:
        raise Refused(
            f"a local table and the function {context.use.reads}, which may read sharded tables",
            detail=context.use.why,
            hint=READING_HINT,
        )
    return shards.pop() if shards else None


def _read_only(context: Context) -> bool:
    use, found = context.use, context.found
    changes = context.written or found.data_changes or found.locking
    return not (changes or use.volatile or use.pins or use.notifies or use.sequence)


def _sharded(context: Context, level: Level, bound: list[Bound], statement: Statement) -> Statement:
    for occurrence in bound:
        if occurrence.inserted and occurrence.values is None and not occurrence.follows:
            raise unknown_key(occurrence.table)
        if occurrence.kept and occurrence.values is None:
            raise changed_key(occurrence.table)
    if context.use.notifies:
        raise Refused("pg_notify() with a sharded table", hint="Send NOTIFY as a statement of its own.")
    unbound = _unbound(bound)
    key_sets = tuple(
        dict.fromkeys(_key_set(occurrence) for occurrence in bound if occurrence.values is not None)
    )
    check_parameters(context, key_sets)
    reads = statement.reads
    reach = Reach.UNBOUND if unbound or reads is not None else Reach.KEYED
    statement = replace(statement, reach=reach, key_sets=key_sets, unbound=unbound)
    if reads is not None and not unbound:
        return replace(statement, refusal=reads)
    if statement.kind is not Kind.QUERY:
        return replace(statement, refusal=_several(f"{statement.tag} over several shards", bound))
    construct = obstacle(context, level)
    if construct is None and len(key_sets) + bool(unbound) > 1:
        construct = "tables bound to different keys over several shards"
    if construct is None and statement.pins is None:
        return replace(statement, fan_out=True)
    if level.inserted or any(occurrence.inserted for occurrence in bound):
        construct = "INSERT of rows for several shards"
    elif statement.tag != "SELECT":
        construct = f"{statement.tag} over several shards"
    return replace(statement, refusal=_several(construct or "session state over several shards", bound))


def _unbound(bound: list[Bound]) -> tuple[RelationName, ...]:
    return tuple(dict.fromkeys(_rule_name(occurrence) for occurrence in bound if occurrence.values is None))


def _rule_name(bound: Bound) -> RelationName:
    return bound.table.target.ruled


def _key_set(bound: Bound) -> KeySet:
    sources = dict.fromkeys(source for value in bound.values or () for source in value.sources(bound.family))
    lengths = [value.length for value in bound.values or () if value.length is not None]
    if bound.table.length is not None and (bound.inserted or bound.kept):
        lengths.append(bound.table.length)
    length = min(lengths, default=None)
    if length is not None and all(
        value.form is Form.STRING and value.place is None for value in bound.values or ()
    ):
        if any(len(value.text) > length for value in bound.values or ()):
            raise Refused(f"a sharding key that is too long for the type varchar({length})", sqlstate="22001")
        length = None
    return KeySet(bound.group, bound.family, tuple(sources), length, bound.kept)


def _several(construct: str, bound: list[Bound]) -> Refused:
    keys = dict.fromkeys(
        occurrence.table.target.rule.key
        for occurrence in bound
        if isinstance(occurrence.table.target.rule, Sharded)
    )
    return Refused(
        construct,
        hint=f"Compare the sharding key {' and '.join(keys)} with one value, or SET shardproxy.tenant.",
    )


def _reading_function(use: FunctionUse) -> Refused:
    return Refused(
        f"the function {use.reads}, which may read sharded tables", detail=use.why, hint=READING_HINT
    )
