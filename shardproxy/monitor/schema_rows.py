"""From the rows of the catalogs to a :class:`~shardproxy.sql.schema.Schema`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from shardproxy.monitor.function_bodies import may_read
from shardproxy.sql.schema import Call, Cast, Column, ForeignKey, Function, Relation, Schema, Trigger
from shardproxy.topology.tables import RelationName

_OF_RELATIONS: Final = ("columns", "keys", "triggers", "foreign_keys", "calls")
QUERIES: Final = ("relations", *_OF_RELATIONS, "functions", "types", "casts", "names")
"""The ``.sql`` files whose rows make a schema."""

Rows = Sequence[Mapping[str, Any]]
Functions = Mapping[str, tuple[Function, ...]]

_HARMLESS_SETTINGS: Final = ("search_path=", "TimeZone=", "timezone=", "work_mem=")
"""SET clauses of a function that leave the meaning of its source alone, once names are certain."""


def build(rows: Mapping[str, Rows]) -> Schema:
    """The schema that ``rows`` (by name, those of all QUERIES) describe; its version is 0."""
    names = rows["names"]
    operators = _names(names, "user_operator")
    functions = _functions(rows["functions"], operators, rows["types"])
    return Schema(
        relations={(r.schema, r.name): r for r in _Relations(rows, functions)},
        functions=functions,
        system_relations=_names(names, "system_relation"),
        schemas=frozenset(row["schema"] for row in names if row["what"] == "schema"),
        hidden=frozenset(row["schema"] for row in names if row["what"] == "hidden_schema"),
        user_operators=operators,
        reading_operators=_reading_operators(names, functions),
        reading_types=_reading_types(rows, functions),
        reading_casts=tuple(
            Cast(row["source"], row["target"], _function(row))
            for row in rows["casts"]
            if row["unasked"] and _touches(_function(row), functions)
        ),
        enum_types={(row["schema"], row["name"]): row["oid"] for row in names if row["what"] == "enum_type"},
    )


class _Relations:
    """The relations, each with what the other queries say of it."""

    def __init__(self, rows: Mapping[str, Rows], functions: Functions) -> None:
        self._relations = rows["relations"]
        self._of = {name: _by_relation(rows[name]) for name in _OF_RELATIONS}
        self._functions = functions
        self._checks: defaultdict[int, list[RelationName]] = defaultdict(list)
        for row in rows["types"]:
            self._checks[row["type_oid"]].append(_function(row))

    def __iter__(self) -> Iterator[Relation]:
        for row in self._relations:
            yield self._relation(row)

    def _relation(self, row: Mapping[str, Any]) -> Relation:
        of = {name: rows[row["oid"]] for name, rows in self._of.items()}
        return Relation(
            schema=row["schema"],
            name=row["name"],
            kind=row["kind"],
            columns=tuple(Column(**_without(each, "relation")) for each in of["columns"]),
            primary_key=next((tuple(key["columns"]) for key in of["keys"] if key["is_primary"]), ()),
            unique_keys=tuple(tuple(key["columns"]) for key in of["keys"] if not key["is_primary"]),
            definition=row["definition"],
            parents=tuple(zip(row["parent_schemas"], row["parent_names"], strict=True)),
            has_user_rules=row["has_user_rules"],
            row_security=row["row_security"],
            policies_read=row["policies_read"],
            triggers=tuple(map(_trigger, of["triggers"])),
            calls=tuple(dict.fromkeys((*self._calls(of["calls"]), *self._type_calls(of["columns"])))),
            foreign_keys=tuple(map(_foreign_key, of["foreign_keys"])),
        )

    def _calls(self, rows: Rows) -> Iterator[Call]:
        """The calls of functions that may touch tables."""
        for row in rows:
            column = "column " if row["kind"] == "default" else ""
            of = "of " if row["kind"] == "default" else ""
            what = f'the {row["kind"]} {of}{column}"{row["name"]}"'
            called = self._checks[row["type_oid"]] if row["type_oid"] is not None else [_function(row)]
            yield from (
                Call(what, function, tuple(row["events"]))
                for function in called
                if _touches(function, self._functions)
            )

    def _type_calls(self, columns: Rows) -> Iterator[Call]:
        for column in columns:
            what = f'the type {column["type_name"]} of column "{column["name"]}"'
            for function in self._checks[column["type_oid"]]:
                if _touches(function, self._functions):
                    yield Call(what, function, ("INSERT", "UPDATE"))


def _by_relation(rows: Rows) -> defaultdict[int, list[Mapping[str, Any]]]:
    found: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["relation"]].append(row)
    return found


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _function(row: Mapping[str, Any]) -> RelationName:
    return row["function_schema"], row["function_name"]


def _touches(name: RelationName, functions: Functions) -> bool:
    """Whether a function of that name may touch tables. Of PostgreSQL's own, only those that do are read."""
    schema, bare = name
    return schema == "pg_catalog" or any(
        each.touches_tables for each in functions.get(bare, ()) if each.schema == schema
    )


def _trigger(row: Mapping[str, Any]) -> Trigger:
    return Trigger(row["name"], _function(row), tuple(row["events"]), row["changes_row"])


def _foreign_key(row: Mapping[str, Any]) -> ForeignKey:
    return ForeignKey(
        row["name"],
        tuple(row["columns"]),
        (row["target_schema"], row["target_name"]),
        tuple(row["target_columns"]),
        row["on_delete"],
        row["on_update"],
        tuple(row["unset"]),
    )


def _functions(rows: Rows, operators: frozenset[str], types: Rows) -> Functions:
    checks: defaultdict[str, list[str]] = defaultdict(list)
    for row in types:
        checks[row["name"]].append(row["function_name"])
    found: defaultdict[str, list[Function]] = defaultdict(list)
    for row, reads in zip(rows, may_read(rows, operators, checks), strict=True):
        found[row["name"]].append(
            Function(
                schema=row["schema"],
                name=row["name"],
                volatility=row["volatility"],
                kind=row["kind"],
                argument_count=row["argument_count"],
                from_extension=row["extension"] is not None,
                returns_set=row["returns_set"],
                reads=reads,
                body=_body(row),
            )
        )
    return {name: tuple(functions) for name, functions in found.items()}


def _body(row: Mapping[str, Any]) -> str | None:
    plain = all(setting.startswith(_HARMLESS_SETTINGS) for setting in row["settings"])
    return row["source"] if row["is_trigger"] and row["language"] == "plpgsql" and plain else None


def _reading_operators(rows: Rows, functions: Functions) -> Mapping[str, tuple[RelationName, ...]]:
    """The operators with a function that may touch tables; ``schema`` of a row is its bare name."""
    found: defaultdict[str, list[RelationName]] = defaultdict(list)
    for row in rows:
        if row["what"] in ("user_operator", "extension_operator"):
            found[row["name"]] += [
                (each.schema, each.name) for each in functions.get(row["schema"], ()) if each.touches_tables
            ]
    return _tuples(found)


def _reading_types(rows: Mapping[str, Rows], functions: Functions) -> Mapping[str, tuple[RelationName, ...]]:
    """The types of which a value is checked, or made by an explicit cast, by a function that may touch
    tables.
    """
    found: defaultdict[str, list[RelationName]] = defaultdict(list)
    for row in rows["types"]:
        found[row["name"]].append(_function(row))
    for row in rows["casts"]:
        found[row["target_name"]].append(_function(row))
    return _tuples(
        {name: [each for each in called if _touches(each, functions)] for name, called in found.items()}
    )


def _tuples(found: Mapping[str, Iterable[RelationName]]) -> Mapping[str, tuple[RelationName, ...]]:
    return {name: tuple(dict.fromkeys(called)) for name, called in sorted(found.items()) if called}


def _names(rows: Rows, what: str) -> frozenset[str]:
    return frozenset(row["name"] for row in rows if row["what"] == what)
