"""What is wrong with tables: missing, no usable key, different between shards, rows in the wrong place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shardproxy.config.live.effects import judge_effects, judge_trusted, shards_named
from shardproxy.config.live.look import SPREADABLE, Look
from shardproxy.config.mistakes import OptionPath
from shardproxy.config.model import Config
from shardproxy.config.names import parse_relation
from shardproxy.config.report import Report
from shardproxy.monitor.schema_diff import KINDS, differences, type_oid_differences
from shardproxy.sql.schema import Relation, Schema
from shardproxy.topology.keys import family_of
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, RelationName, Sharded, TableRule, TableRules

SHOWN: Final = 10


def judge_tables(config: Config, shard_map: ShardMap, primaries: Sequence[Look], report: Report) -> None:
    """Report what is wrong with the tables of all primaries that could be read."""
    schemas = {seen.target.name: seen.schema for seen in primaries if seen.schema is not None}
    paths: dict[RelationName, OptionPath] = {parse_relation(name): ("tables", name) for name in config.tables}
    rules = shard_map.tables
    for relation, path in paths.items():
        for message in _table(relation, rules.rules[relation], rules, schemas):
            report.mistake(path, message)
        for message in _uniqueness(relation, rules.rules[relation], schemas):
            report.warning(path, message)
    judge_effects(rules, schemas, paths, report)
    judge_trusted(config, schemas, report)
    _judge_differences(primaries, rules, paths, report)
    unlisted = _unlisted(rules, schemas)
    if unlisted:
        report.warning(
            ("tables",),
            f"statements that use {', '.join(unlisted[:SHOWN])}"
            f"{', ...' if len(unlisted) > SHOWN else ''} are refused; say how each table is spread",
            at_key=True,
        )
    for seen in primaries:
        for relation, misplaced in seen.misplaced.items():
            if misplaced.failure is not None:
                report.warning(
                    paths[relation], f"rows on shard '{seen.target.name}' not counted: {misplaced.failure}"
                )
            elif misplaced.rows:
                report.mistake(
                    paths[relation],
                    f"{misplaced.rows} row(s) on shard '{seen.target.name}' {_why(rules.rules[relation])}; "
                    "move or delete them",
                )


def _unlisted(rules: TableRules, schemas: Mapping[str, Schema]) -> list[str]:
    """Tables the configuration does not speak of; a partition or child is as its parent is."""
    return sorted(
        {
            label(name)
            for schema in schemas.values()
            for name, relation in schema.relations.items()
            if relation.kind in SPREADABLE and not relation.parents and name not in rules.rules
        }
    )


def _why(rule: TableRule) -> str:
    if isinstance(rule, Local):
        return f"are never seen, because the table is local to shard '{rule.shard}'"
    return "belong to other shards or have no key"


def label(relation: RelationName) -> str:
    """The name as a user would write it."""
    return relation[1] if relation[0] == "public" else ".".join(relation)


def _table(
    name: RelationName, rule: TableRule, rules: TableRules, schemas: Mapping[str, Schema]
) -> Iterator[str]:
    wanted = [rule.shard] if isinstance(rule, Local) else list(schemas)
    found = {shard: schemas[shard].relations.get(name) for shard in wanted if shard in schemas}
    lacking = [shard for shard, relation in found.items() if relation is None]
    if lacking:
        yield f"there is no table {label(name)} on {shards_named(lacking)}; create it, or remove it here"
    messages: dict[str, list[str]] = {}
    for shard, relation in found.items():
        for message in _relation(relation, rule, rules) if relation is not None else ():
            messages.setdefault(message, []).append(shard)
    for message, shards in messages.items():
        yield message if len(shards) == len(found) else f"on {shards_named(shards)}: {message}"


def _relation(relation: Relation, rule: TableRule, rules: TableRules) -> Iterator[str]:
    if relation.kind not in SPREADABLE:
        yield f"is {KINDS.get(relation.kind, 'no table')}; only tables can be listed, so remove it"
        return
    if not isinstance(rule, Sharded):
        return
    column = relation.column(rule.key)
    if column is None:
        yield f"there is no column {rule.key}, which is to be the sharding key; correct key or add the column"
        return
    family, wanted = family_of(column.type_oid), rules.groups[rule.group]
    if family is not wanted:
        yield (
            f"the key {rule.key} is of type {column.type_name}, but group '{rule.group}' has {wanted} keys; "
            "correct the group's type or the column"
        )
    elif column.generated:
        yield f"the key {rule.key} is generated, so that an UPDATE changes it; make it a plain column"
    elif not column.deterministic:
        yield f"the key {rule.key} has a nondeterministic collation; give it a deterministic one"


def _uniqueness(name: RelationName, rule: TableRule, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """A unique key without the sharding key holds on each shard alone."""
    if not isinstance(rule, Sharded):
        return
    relations = [schema.relations[name] for schema in schemas.values() if name in schema.relations]
    keys = {key for each in relations for key in (each.primary_key, *each.unique_keys) if key}
    for key in sorted(key for key in keys if rule.key not in key):
        yield (
            f"unique key ({', '.join(key)}) does not contain {rule.key}, so it is unique on each shard only; "
            "add the column"
        )


def _judge_differences(
    primaries: Sequence[Look], rules: TableRules, paths: Mapping[RelationName, OptionPath], report: Report
) -> None:
    readable = [(seen, seen.schema) for seen in primaries if seen.schema is not None]
    if not readable:
        return
    (first, schema), *others = readable
    for other, other_schema in others:
        names = (first.target.name, other.target.name)
        for difference in differences(schema, other_schema, rules, names):
            relation = difference.relation
            listed = relation is not None and relation in paths
            if listed and (relation not in schema.relations or relation not in other_schema.relations):
                continue  # a listed table that is missing is reported for itself
            path = paths[relation] if relation is not None and listed else other.target.path
            report.mistake(path, f"{difference.what}; make the shards alike")
        for difference in type_oid_differences(schema, other_schema, names):
            report.warning(
                other.target.path, f"{difference.what}; drivers that cache types by OID may misread"
            )
