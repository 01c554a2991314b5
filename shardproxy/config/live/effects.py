"""What makes statements on a table refused, whatever they say: triggers, defaults, policies, rules; and
foreign keys that no single shard can check.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shardproxy.config.mistakes import OptionPath
from shardproxy.config.model import Config
from shardproxy.config.names import parse_relation
from shardproxy.config.report import Report
from shardproxy.sql.analysis.context import Finding
from shardproxy.sql.analysis.effects import Effects, alike
from shardproxy.sql.analysis.names import Names
from shardproxy.sql.schema import ForeignKey, Relation, Schema
from shardproxy.topology.tables import Local, Reference, RelationName, Sharded, TableRule, TableRules

_EVENTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")

Messages = Iterator[str]


def judge_effects(
    rules: TableRules, schemas: Mapping[str, Schema], paths: Mapping[RelationName, OptionPath], report: Report
) -> None:
    """Report what a table's statements would set off, and its foreign keys. ``schemas``: by shard's name."""
    effects = {shard: Effects(schema, rules) for shard, schema in schemas.items()}
    for name, path in paths.items():
        rule = rules.rules[name]
        on = [rule.shard] if isinstance(rule, Local) else list(schemas)
        having = [shard for shard in on if shard in schemas and name in schemas[shard].relations]
        warnings: dict[str, list[str]] = {}
        mistakes: dict[str, list[str]] = {}
        for shard in having:
            names = Names(schemas[shard], rules, ())
            for message in (*_refused(name, rule, names, effects[shard]), *_partial_keys(name, rule, names)):
                warnings.setdefault(message, []).append(shard)
            for message in _impossible_keys(name, rule, names):
                mistakes.setdefault(message, []).append(shard)
        for message, shards in mistakes.items():
            report.mistake(path, _on(shards, having, message))
        for message, shards in warnings.items():
            report.warning(path, _on(shards, having, message))


def judge_trusted(config: Config, schemas: Mapping[str, Schema], report: Report) -> None:
    """Report trusted functions that a shard does not have."""
    for i, text in enumerate(config.trusted_functions):
        schema_name, name = parse_relation(text, "function")
        lacking = [
            shard
            for shard, schema in schemas.items()
            if not any(each.schema == schema_name for each in schema.functions.get(name, ()))
        ]
        if lacking:
            report.mistake(
                ("trusted_functions", i),
                f"there is no function {schema_name}.{name} on {shards_named(lacking)}; "
                "create it, or remove it here",
            )


def shards_named(names: Sequence[str]) -> str:
    """``shard 'a'`` or ``shards 'a', 'b'``."""
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"shard {quoted}" if len(names) == 1 else f"shards {quoted}"


def _on(found: Sequence[str], all_shards: Sequence[str], message: str) -> str:
    return message if len(found) == len(all_shards) else f"on {shards_named(found)}: {message}"


def _refused(name: RelationName, rule: TableRule, names: Names, effects: Effects) -> Messages:
    """What every statement of some kind on a table is refused for."""
    relation = names.schema.relations[name]
    if relation.policies_read:
        yield "every statement on it is refused, because its policies read other tables; change them"
    if isinstance(rule, Reference):
        return  # written on each shard, not through the proxy
    if relation.has_user_rules:
        yield "writing it is refused, because it has rules (CREATE RULE); drop them"
    found: dict[Finding, list[str]] = {}
    for event in _EVENTS:
        related = [name] if event == "SELECT" else [name, *_descendants(name, names.schema)]
        for finding in dict.fromkeys(each for of in related for each in effects.findings((of, event))):
            found.setdefault(finding, []).append(event)
    for finding, events in found.items():
        of = f"{finding.function}: " if finding.function else ""
        remedy = finding.remedy[0].lower() + finding.remedy[1:].removesuffix(".")
        verb = "is" if len(events) == 1 else "are"
        yield f"{', '.join(events)} {verb} refused, because {finding.harm} ({of}{finding.why}); {remedy}"


def _descendants(name: RelationName, schema: Schema) -> Iterator[RelationName]:
    for child, relation in schema.relations.items():
        if name in relation.parents:
            yield child
            yield from _descendants(child, schema)


def _impossible_keys(name: RelationName, rule: TableRule, names: Names) -> Messages:
    """Foreign keys to tables that are spread so that the referenced row may be on another shard."""
    relation = names.schema.relations[name]
    for key in relation.foreign_keys:
        target = names.named(*key.target).rule
        if target is not None and not isinstance(target, Reference) and not alike(rule, target):
            yield (
                f"the foreign key {key.name} refers to {_label(key.target)}, which is spread otherwise, so "
                "no shard can check it; drop it"
            )


def _partial_keys(name: RelationName, rule: TableRule, names: Names) -> Messages:
    """Foreign keys that hold on each shard alone, because they do not pair the sharding keys."""
    relation: Relation = names.schema.relations[name]
    for key in relation.foreign_keys:
        target = names.named(*key.target).rule
        if not (isinstance(rule, Sharded) and isinstance(target, Sharded) and alike(rule, target)):
            continue
        if not _pairs(key, rule.key, target.key):
            yield (
                f"the foreign key {key.name} to {_label(key.target)} does not refer from {rule.key} to "
                f"{target.key}, so it holds on each shard only; add the columns"
            )


def _pairs(key: ForeignKey, column: str, target_column: str) -> bool:
    return (column, target_column) in zip(key.columns, key.target_columns, strict=True)


def _label(relation: RelationName) -> str:
    return relation[1] if relation[0] == "public" else ".".join(relation)
