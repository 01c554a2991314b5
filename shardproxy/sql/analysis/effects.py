"""What a write sets off on its shard, besides what its statement says: triggers, defaults, CHECKs, foreign
keys.

Each step, an event on a table, has its own findings and leads to further steps; a statement has the findings
of all steps that it reaches. What is proven harmless or vouched for is no finding.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from shardproxy.sql.analysis.context import Finding, Step
from shardproxy.sql.analysis.names import Names
from shardproxy.sql.analysis.trigger_body import TriggerRow, Unproven
from shardproxy.sql.plpgsql import Body, NotUnderstood, read_body
from shardproxy.sql.schema import ForeignKey, Function, Relation, Schema, Trigger
from shardproxy.topology.tables import RelationName, Sharded, TableRule, TableRules

HARMLESS: Final = frozenset(
    ("pg_catalog", name)
    for name in (
        "suppress_redundant_updates_trigger",
        "tsvector_update_trigger",
        "tsvector_update_trigger_column",
    )
)
"""PostgreSQL's own trigger functions: they look at their row only, and set no column of a key's type."""

_ACTIONS: Final = {"n": "SET NULL", "d": "SET DEFAULT"}
_PARTITIONED: Final = "p"


class Effects:
    """What writes set off under one reading of the schema and one set of rules. It only remembers what it
    found.
    """

    def __init__(self, schema: Schema, rules: TableRules) -> None:
        self._schema = schema
        self._names = Names(schema, rules, tuple(sorted(schema.schemas)))
        self._local: dict[Step, tuple[tuple[Finding, ...], frozenset[Step]]] = {}
        self._reached: dict[Step, tuple[Finding, ...]] = {}
        self._children: defaultdict[RelationName, list[RelationName]] = defaultdict(list)
        self._referring: defaultdict[RelationName, list[tuple[RelationName, ForeignKey]]] = defaultdict(list)
        tables: defaultdict[str, tuple[RelationName, ...]] = defaultdict(tuple)
        for name, relation in schema.relations.items():
            tables[name[1]] += (name,)
            for parent in relation.parents:
                self._children[parent].append(name)
            for key in relation.foreign_keys:
                self._referring[key.target].append((name, key))
        self._tables = dict(tables)

    def findings(self, step: Step) -> tuple[Finding, ...]:
        """What is not proven harmless of an event on a table, and of all that it sets off."""
        known = self._reached.get(step)
        if known is None:
            known = self._reached[step] = tuple(dict.fromkeys(self._all(step)))
        return known

    def _all(self, step: Step) -> Iterator[Finding]:
        seen, waiting = {step}, [step]
        while waiting:
            at = waiting.pop(0)
            if at not in self._local:
                self._local[at] = self._look(*at)
            findings, following = self._local[at]
            yield from findings
            waiting.extend(sorted(following - seen))
            seen |= following

    def _look(self, name: RelationName, event: str) -> tuple[tuple[Finding, ...], frozenset[Step]]:
        """One step by itself: what is found, and the steps that follow from it."""
        relation = self._schema.relations.get(name)
        if relation is None:
            return (), frozenset()
        rule = self._names.named(*name).rule
        findings = [
            Finding(f'{call.what} of "{name[1]}"', _label(call.function), "it may read tables")
            for call in relation.calls
            if event in call.events and call.function not in self._names.rules.trusted
        ]
        following = set(self._in_children(name, relation, event))
        for trigger in relation.triggers:
            if event in trigger.events and trigger.function not in HARMLESS | self._names.rules.trusted:
                self._trigger(trigger, relation, rule, event, findings, following)
        for child, key in self._referring[name] if event in ("UPDATE", "DELETE") else ():
            self._foreign_key(child, key, (name, rule), event, findings, following)
        return tuple(findings), frozenset(following)

    def _in_children(self, name: RelationName, relation: Relation, event: str) -> Iterator[Step]:
        """The same event on partitions and children; an UPDATE may move a row between partitions."""
        partitioned = relation.kind == _PARTITIONED
        if event == "SELECT" or (event == "INSERT" and not partitioned):
            return
        for child in self._children[name]:
            yield child, event
            if event == "UPDATE" and partitioned:
                yield child, "DELETE"
                yield child, "INSERT"

    # --- triggers -------------------------------------------------------------------------------------------

    def _trigger(
        self,
        trigger: Trigger,
        relation: Relation,
        rule: TableRule | None,
        event: str,
        findings: list[Finding],
        following: set[Step],
    ) -> None:
        what, function = f'the trigger "{trigger.name}" of "{relation.name}"', _label(trigger.function)
        key = rule.key if isinstance(rule, Sharded) and trigger.changes_row and event != "DELETE" else None
        try:
            body = self._body(trigger.function)
        except NotUnderstood as error:
            findings.append(Finding(what, function, str(error), key))
            return
        if key is not None and not body.spares(key):
            findings.append(Finding(what, function, f"it may assign {key} of NEW or OLD", key))
        elif key is not None and not body.returns_its_row():
            findings.append(Finding(what, function, "it may return another row than NEW or OLD", key))
        try:
            following |= TriggerRow(relation, rule, self._names, self._tables).prove(body)
        except Unproven as error:
            findings.append(Finding(what, function, str(error)))

    def _body(self, name: RelationName) -> Body:
        function = self._function(name)
        if function is None or function.body is None:
            raise NotUnderstood("it is not written in PL/pgSQL, or has settings of its own")
        return read_body(function.body)

    def _function(self, name: RelationName) -> Function | None:
        overloads = self._schema.functions.get(name[1], ())
        return next((each for each in overloads if each.schema == name[0] and not each.argument_count), None)

    # --- foreign keys ---------------------------------------------------------------------------------------

    def _foreign_key(
        self,
        child: RelationName,
        key: ForeignKey,
        target: tuple[RelationName, TableRule | None],
        event: str,
        findings: list[Finding],
        following: set[Step],
    ) -> None:
        """What a foreign key does to the rows of ``child`` when a row of ``target`` changes."""
        action = key.on_delete if event == "DELETE" else key.on_update
        if action not in ("c", *_ACTIONS):
            return
        deleting = event == "DELETE" and action == "c"
        following.add((child, "DELETE" if deleting else "UPDATE"))
        what = f'the foreign key "{key.name}" of "{child[1]}"'
        relation, rule = self._schema.relations[child], self._names.named(*child).rule
        if relation.has_user_rules:
            findings.append(Finding(what, None, f'its table "{child[1]}" has rules (CREATE RULE)'))
        if not alike(rule, target[1]):
            findings.append(Finding(what, None, f'"{child[1]}" is spread otherwise than "{target[0][1]}"'))
        elif (
            isinstance(rule, Sharded)
            and not deleting
            and self._changes_key(relation, rule, key, target[1], event)
        ):
            done = _ACTIONS.get(action, "CASCADE")
            findings.append(Finding(what, None, f"its ON {event} {done} changes the column", rule.key))

    def _changes_key(
        self, relation: Relation, rule: Sharded, key: ForeignKey, target: TableRule | None, event: str
    ) -> bool:
        """Whether the action of a foreign key may give rows another sharding key (or none)."""
        action = key.on_delete if event == "DELETE" else key.on_update
        columns = key.unset if event == "DELETE" else key.columns
        if rule.key not in columns:
            return False
        if action == "c":
            source = dict(zip(key.columns, key.target_columns, strict=True))[rule.key]
            return not (isinstance(target, Sharded) and source == target.key)
        column = relation.column(rule.key)
        return column is None or not column.not_null or (action == "d" and column.has_default)


def alike(one: TableRule | None, other: TableRule | None) -> bool:
    """Whether rows of tables under these rules that belong together are on one shard."""
    if isinstance(one, Sharded) and isinstance(other, Sharded):
        return one.group == other.group
    return one == other and one is not None


def _label(function: RelationName) -> str:
    return ".".join(function)


@lru_cache(maxsize=4)
def effects_of(schema: Schema, rules: TableRules) -> Effects:
    """The one that all statements planned under ``schema`` and ``rules`` share."""
    return Effects(schema, rules)
