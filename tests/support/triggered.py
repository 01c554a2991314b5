"""The sample schema with triggers and whatever else writes set off, and what analysis says then."""

from collections.abc import Mapping
from dataclasses import replace

from shardproxy.sql.analysis import analyze
from shardproxy.sql.schema import Function, Relation, Schema, Trigger
from shardproxy.sql.statement import Reach, Statement
from shardproxy.topology.tables import RelationName
from tests.support.sample_schema import RULES, SCHEMA, SEARCH_PATH


def body_function(name: str, source: str | None, *, reads: bool = True) -> Function:
    """A trigger function in PL/pgSQL; without a source, in another language."""
    body = None if source is None else f"BEGIN {source} END" if "BEGIN" not in source else source
    return Function("public", name, "v", "f", 0, reads=reads, body=body)


def before(name: str, *events: str) -> Trigger:
    """A BEFORE trigger FOR EACH ROW, named as its function."""
    return Trigger(name, ("public", name), events or ("INSERT", "UPDATE"), changes_row=True)


def after(name: str, *events: str) -> Trigger:
    """An AFTER trigger, named as its function."""
    return Trigger(name, ("public", name), events or ("INSERT", "UPDATE", "DELETE"))


def schema(
    changes: Mapping[str, Mapping[str, object]],
    functions: Mapping[str, str | None] | None = None,
    *more: Relation,
    **fields: object,
) -> Schema:
    """The sample schema with ``changes`` of public relations, by name, and with trigger functions."""
    relations: dict[RelationName, Relation] = dict(SCHEMA.relations)
    for name, change in changes.items():
        relations["public", name] = replace(relations["public", name], **change)  # type: ignore[arg-type]
    relations |= {(relation.schema, relation.name): relation for relation in more}
    known = {name: (body_function(name, source),) for name, source in (functions or {}).items()}
    return replace(SCHEMA, relations=relations, functions={**SCHEMA.functions, **known}, **fields)  # type: ignore[arg-type]


def plan(sql: str, under: Schema, trusted: tuple[str, ...] = ()) -> Statement:
    """The plan of one statement; ``trusted`` are functions in public."""
    rules = replace(RULES, trusted=frozenset(("public", name) for name in trusted))
    (statement,) = analyze(sql, schema=under, rules=rules, search_path=SEARCH_PATH)
    return statement


def said(sql: str, under: Schema, trusted: tuple[str, ...] = ()) -> str:
    """``ok``, or the construct and after a bar the detail of the refusal that one key does not avert."""
    statement = plan(sql, under, trusted)
    if statement.reach in (Reach.KEYED, Reach.LOCAL, Reach.ANYWHERE):
        return "ok"
    assert statement.refusal is not None
    return f"{statement.refusal.construct} | {statement.refusal.detail or ''}"
