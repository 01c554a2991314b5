"""Where two shards' schemas differ, by name: what is planned with one shard's schema must hold on all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from shardproxy.sql.schema import FIRST_USER_OID, Column, Function, Relation, Schema
from shardproxy.topology.tables import Local, RelationName, TableRules

KINDS: Mapping[str, str] = {
    "r": "a table",
    "p": "a partitioned table",
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
}
"""pg_class.relkind in words."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. ``what`` is a whole sentence for people, for example
    ``orders.status: shard-a has text, shard-b has character varying(20)``; ``relation`` is None when it is
    about a function, an operator or a type.
    """

    relation: RelationName | None
    what: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two shards' names, and the wording of one difference."""

    first: str
    other: str

    def missing(self, subject: str, *, from_first: bool) -> str:
        has, lacks = (self.other, self.first) if from_first else (self.first, self.other)
        return f"{subject}: {has} has it, {lacks} does not"

    def differs(self, subject: str, first: str, other: str) -> str:
        return f"{subject}: {self.first} has {first}, {self.other} has {other}"


def differences(
    first: Schema, other: Schema, rules: TableRules, names: tuple[str, str]
) -> tuple[Difference, ...]:
    """All that differs between the schemas of the two shards called ``names``, ordered by relation.

    Tables that ``rules`` keep local to one shard, with their partitions, may differ. Sequences are not
    compared (each shard's have their own state, and a local table brings its own), nor is which extensions
    are installed; an extension's function that both have must be equally volatile. View definitions are
    compared as text, which servers of different major versions may word differently.
    """
    if first.version == other.version != 0:
        return ()
    pair = _Pair(*names)
    return (
        *_relations(first, other, _local(first, rules) | _local(other, rules), pair),
        *(Difference(None, what) for what in _functions(first.functions, other.functions, pair)),
        *(Difference(None, what) for what in _bare_names(first, other, pair)),
    )


def type_oid_differences(first: Schema, other: Schema, names: tuple[str, str]) -> tuple[Difference, ...]:
    """User types with another OID on each shard.

    Statements are not affected, but a driver that remembers a type by the OID it saw in one answer may
    misread another shard's: worth a warning, and cured by creating the types in the same order on fresh
    databases.
    """
    pair = _Pair(*names)
    mine, theirs = _user_type_oids(first), _user_type_oids(other)
    return tuple(
        Difference(None, pair.differs(f"type {name}", f"OID {mine[name]}", f"OID {theirs[name]}"))
        for name in sorted(mine.keys() & theirs.keys())
        if mine[name] != theirs[name]
    )


def _local(schema: Schema, rules: TableRules) -> frozenset[RelationName]:
    """The relations of ``schema`` that are local to one shard: by rule, or as a descendant of one that is."""
    local = {name for name, rule in rules.rules.items() if isinstance(rule, Local)}
    grown = -1
    while grown != len(local):
        grown = len(local)
        local |= {
            name for name, relation in schema.relations.items() if not local.isdisjoint(relation.parents)
        }
    return frozenset(local)


def _relations(
    first: Schema, other: Schema, local: frozenset[RelationName], pair: _Pair
) -> Iterator[Difference]:
    for name in sorted((first.relations.keys() | other.relations.keys()) - local):
        mine, theirs = first.relations.get(name), other.relations.get(name)
        if "S" in {side.kind for side in (mine, theirs) if side is not None}:
            continue
        if mine is None or theirs is None:
            yield Difference(name, pair.missing(_label(name), from_first=mine is None))
        else:
            yield from (Difference(name, what) for what in _relation(mine, theirs, pair))


def _relation(first: Relation, other: Relation, pair: _Pair) -> Iterator[str]:
    label = _label((first.schema, first.name))
    if first.kind != other.kind:
        yield pair.differs(label, KINDS[first.kind], KINDS[other.kind])
        return
    yield from _columns(label, first.columns, other.columns, pair)
    if first.primary_key != other.primary_key:
        yield pair.differs(
            label, f"primary key {_list(first.primary_key)}", f"primary key {_list(other.primary_key)}"
        )
    for key in sorted(set(first.unique_keys) ^ set(other.unique_keys)):
        yield pair.missing(f"{label}: unique key {_list(key)}", from_first=key in other.unique_keys)
    if first.parents != other.parents:
        yield pair.differs(label, f"parents {_parents(first)}", f"parents {_parents(other)}")
    for what, mine, theirs in (
        ("row-level security", first.row_security, other.row_security),
        ("rules", first.has_user_rules, other.has_user_rules),
    ):
        if mine != theirs:
            yield pair.missing(f"{label}: {what}", from_first=theirs)
    for what, named in (("trigger", _triggers), ("foreign key", _foreign_keys), ("use of functions", _calls)):
        yield from _alike(f"{label}: {what}", named(first), named(other), pair)
    if first.definition != other.definition:
        yield f"{label}: {pair.first} and {pair.other} define the view differently"


def _triggers(relation: Relation) -> dict[str, object]:
    return {trigger.name: trigger for trigger in relation.triggers}


def _foreign_keys(relation: Relation) -> dict[str, object]:
    # Without its name: that of a partition's is made up by each server.
    return {
        f"({', '.join(key.columns)}) to {_label(key.target)}": replace(key, name="")
        for key in relation.foreign_keys
    }


def _calls(relation: Relation) -> dict[str, object]:
    return {f"{'.'.join(call.function)} by {call.what}": call for call in relation.calls}


def _alike(
    subject: str, first: Mapping[str, object], other: Mapping[str, object], pair: _Pair
) -> Iterator[str]:
    """What one of two shards lacks, or has otherwise, of things that have names."""
    for name in sorted(first.keys() | other.keys()):
        if name not in first or name not in other:
            yield pair.missing(f"{subject} {name}", from_first=name not in first)
        elif first[name] != other[name]:
            yield f"{subject} {name}: {pair.first} and {pair.other} define it differently"


def _columns(label: str, first: tuple[Column, ...], other: tuple[Column, ...], pair: _Pair) -> Iterator[str]:
    mine = {column.name: column for column in first}
    theirs = {column.name: column for column in other}
    for name in (*mine, *(name for name in theirs if name not in mine)):
        subject = f"{label}.{name}"
        if name not in mine or name not in theirs:
            yield pair.missing(subject, from_first=name not in mine)
        elif _column(mine[name]) != _column(theirs[name]):
            yield pair.differs(subject, _column(mine[name]), _column(theirs[name]))
    if mine.keys() == theirs.keys() and tuple(mine) != tuple(theirs):
        # SELECT * and INSERT without a column list depend on it.
        yield pair.differs(f"{label}: order of columns", _list(tuple(mine)), _list(tuple(theirs)))


def _column(column: Column) -> str:
    """All of a column that must be alike, as one would write it in CREATE TABLE."""
    return (
        column.type_name
        + ("" if column.deterministic else " with a nondeterministic collation")
        + (" NOT NULL" if column.not_null else "")
        + (" generated" if column.generated else " with a default" if column.has_default else "")
    )


def _functions(
    first: Mapping[str, tuple[Function, ...]], other: Mapping[str, tuple[Function, ...]], pair: _Pair
) -> Iterator[str]:
    mine, theirs = _by_schema(first), _by_schema(other)
    for schema, name in sorted(mine.keys() | theirs.keys()):
        ours, others = mine.get((schema, name), ()), theirs.get((schema, name), ())
        subject = f"function {_label((schema, name))}"
        if not ours or not others:
            if not all(function.from_extension for function in ours or others):
                yield pair.missing(subject, from_first=not ours)
        elif _variants(ours) != _variants(others):
            yield pair.differs(subject, _variants(ours), _variants(others))
        elif _sources(ours) != _sources(others):
            yield f"{subject}: {pair.first} and {pair.other} define it differently"


def _by_schema(functions: Mapping[str, tuple[Function, ...]]) -> dict[RelationName, tuple[Function, ...]]:
    found: dict[RelationName, tuple[Function, ...]] = {}
    for overloads in functions.values():
        for each in overloads:
            key = (each.schema, each.name)
            found[key] = (*found.get(key, ()), each)
    return found


VOLATILITY: Mapping[str, str] = {"i": "immutable", "s": "stable", "v": "volatile"}


def _variants(overloads: tuple[Function, ...]) -> str:
    """Every overload of one name: ``1 argument stable, 2 arguments volatile set``."""
    return ", ".join(
        sorted(
            f"{each.argument_count} argument{'' if each.argument_count == 1 else 's'} "
            f"{VOLATILITY[each.volatility]}{' set' if each.returns_set else ''}"
            f"{'' if each.kind == 'f' else f' (kind {each.kind})'}"
            for each in overloads
        )
    )


def _sources(overloads: tuple[Function, ...]) -> list[tuple[int, bool, str]]:
    return sorted((each.argument_count, each.reads, each.body or "") for each in overloads)


def _bare_names(first: Schema, other: Schema, pair: _Pair) -> Iterator[str]:
    for name in sorted(first.user_operators ^ other.user_operators):
        yield pair.missing(f"operator {name}", from_first=name in other.user_operators)
    for name in sorted(first.reading_types.keys() ^ other.reading_types.keys()):
        yield pair.missing(f"functions behind the type {name}", from_first=name in other.reading_types)
    for cast in sorted({*first.reading_casts} ^ {*other.reading_casts}, key=str):
        subject = f"cast from {cast.source} to {cast.target} by {'.'.join(cast.function)}"
        yield pair.missing(subject, from_first=cast in other.reading_casts)
    for type_name in sorted(first.enum_types.keys() ^ other.enum_types.keys()):
        yield pair.missing(f"enum type {_label(type_name)}", from_first=type_name in other.enum_types)


def _user_type_oids(schema: Schema) -> dict[str, int]:
    """The OIDs of user types: enums, and whatever else a column has."""
    oids = {_label(name): oid for name, oid in schema.enum_types.items()}
    for relation in schema.relations.values():
        for column in relation.columns:
            if column.type_oid >= FIRST_USER_OID:
                oids[column.type_name.removeprefix("public.")] = column.type_oid
    return oids


def _label(name: RelationName) -> str:
    """The name as a user would write it; the schema is shown unless it is public."""
    schema, bare = name
    return bare if schema == "public" else f"{schema}.{bare}"


def _list(names: tuple[str, ...]) -> str:
    return f"({', '.join(names)})"


def _parents(relation: Relation) -> str:
    return _list(tuple(map(_label, relation.parents)))
