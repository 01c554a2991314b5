"""Which relation a name means: the search_path, the schema's knowledge and the configured rules together."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql.analysis.tree import Node
from shardproxy.sql.schema import OWN, OWN_RELATIONS, Relation, Schema
from shardproxy.topology.tables import Local, Reference, RelationName, Sharded, TableRule, TableRules

SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema", "pg_toast"})
ASK_SHARDPROXY: Final = "See shardproxy map and shardproxy moves, or ask on the shard itself."


class Nature(Enum):
    """What kind of relation a name means to the proxy."""

    SHARDED = auto()
    REFERENCE = auto()
    LOCAL = auto()
    MIXED = auto()  # tables that inherit from it are spread otherwise than it is
    UNLISTED = auto()  # exists, and the configuration does not say how it is spread
    MISSING = auto()  # configured, and not found on the shards
    SYSTEM = auto()
    VIEW = auto()
    SEQUENCE = auto()
    UNKNOWN = auto()  # PostgreSQL says that it does not exist, or it is a temporary table of the session


@dataclass(frozen=True, slots=True)
class Target:
    """The relation that a name means. ``rule`` is that of the table or of the nearest parent that has one,
    which ``ruled`` names.
    """

    nature: Nature
    name: RelationName
    relation: Relation | None = None
    rule: TableRule | None = None
    parent: RelationName | None = None

    @property
    def ruled(self) -> RelationName:
        """The name under which the configuration has the rule."""
        return self.parent or self.name


class Names:
    """Resolves names of relations as PostgreSQL does. ``search_path`` has no ``"$user"``: the session expands
    it.
    """

    def __init__(self, schema: Schema, rules: TableRules, search_path: tuple[str, ...]) -> None:
        self.schema = schema
        self.rules = rules
        self.builtin_first = "pg_catalog" not in search_path or search_path[0] == "pg_catalog"
        self.path = search_path if "pg_catalog" in search_path else ("pg_catalog", *search_path)

    def relation(self, range_var: Node) -> Target:
        """What a RangeVar means, CTEs aside."""
        if range_var.schemaname:
            return self.named(range_var.schemaname, range_var.relname)
        for schema in self.path:
            if schema == OWN and range_var.relname not in OWN_RELATIONS:
                continue
            target = self.named(schema, range_var.relname)
            if target.nature is not Nature.UNKNOWN:
                return target
        return Target(Nature.UNKNOWN, ("", range_var.relname))

    def named(self, schema: str, relname: str) -> Target:
        """What a schema-qualified name means. Raises Refused for a name in the proxy's own schema."""
        name = (schema, relname)
        if schema == OWN:
            raise Refused(f"the table {OWN}.{relname}, which is the proxy's own", hint=ASK_SHARDPROXY)
        if schema in SYSTEM_SCHEMAS:
            listed = schema != "pg_catalog" or relname in self.schema.system_relations
            return Target(Nature.SYSTEM if listed else Nature.UNKNOWN, name)
        relation = self.schema.relations.get(name)
        if relation is None:
            rule = self.rules.rules.get(name)
            return Target(Nature.MISSING if rule else Nature.UNKNOWN, name, rule=rule)
        if relation.kind == "v":
            return Target(Nature.VIEW, name, relation)
        if relation.kind == "S":
            return Target(Nature.SEQUENCE, name, relation)
        ruled = next((each for each in self._line(name) if each in self.rules.rules), None)
        rule = self.rules.rules[ruled] if ruled is not None else None
        nature = Nature.MIXED if self._is_mixed(name, rule) else _nature(rule)
        return Target(nature, name, relation, rule, ruled)

    def _line(self, name: RelationName) -> Iterator[RelationName]:
        """A table and its ancestors, the nearest first: a partition is spread as its parent is."""
        seen: set[RelationName] = set()
        level = [name]
        while level:
            yield from level
            seen.update(level)
            known = [self.schema.relations[name] for name in level if name in self.schema.relations]
            level = [parent for child in known for parent in child.parents if parent not in seen]

    def _is_mixed(self, name: RelationName, rule: TableRule | None) -> bool:
        """Whether a table that inherits from this one is spread otherwise."""
        if rule is None:
            return False
        for other in (*self.rules.rules, *self.schema.heirs):
            relation = self.schema.relations.get(other)
            if relation is None or not relation.parents:
                continue
            line = list(self._line(other))
            if name in line and self.rules.rules[next(filter(self.rules.rules.__contains__, line))] != rule:
                return True
        return False


def _nature(rule: TableRule | None) -> Nature:
    match rule:
        case Sharded():
            return Nature.SHARDED
        case Reference():
            return Nature.REFERENCE
        case Local():
            return Nature.LOCAL
    return Nature.UNLISTED
