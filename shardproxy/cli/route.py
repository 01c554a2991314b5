"""``shardproxy route``: where a statement would go, and why. Nothing is run."""

import os
from dataclasses import asdict
from typing import Annotated, Any

import typer

from shardproxy.cli.course import Course, tenant_key
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, console, fail, write_json
from shardproxy.cli.schema_source import KnownSchema, ask_a_shard, from_configuration
from shardproxy.config.load import load
from shardproxy.config.model import Config
from shardproxy.errors import ShardproxyError, StatementError
from shardproxy.routing.explain import OF_SESSION, ROUTED, Explanation, explain
from shardproxy.routing.parameters import BindValues, LiteralValues, Values
from shardproxy.routing.route import ReadPolicy, Route
from shardproxy.routing.router import RoutingContext
from shardproxy.routing.router import route as find_route
from shardproxy.sql.hints import leading_settings
from shardproxy.sql.planner import Planner
from shardproxy.sql.statement import Statement
from shardproxy.topology.shard_map import ShardMap

NULL = r"\N"
NO_PARAMETER = "42P02"

Sql = Annotated[str, typer.Argument(metavar="SQL", help="One or more statements.")]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="T", help="As if the session had SET shardproxy.tenant.")
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", metavar="V", help=rf"The value of $1, and again for $2 ...; {NULL} is NULL."
    ),
]
Read = Annotated[ReadPolicy | None, typer.Option("--read", help="As if the session had SET shardproxy.read.")]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline", help="Do not ask a shard for the schema: know only the configured tables and their keys."
    ),
]


def route(
    sql: Sql,
    tenant: Tenant = None,
    param: Params = None,
    read: Read = None,
    config: ConfigFile = DEFAULT_CONFIG,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Say where a statement goes and why, without running it; exit 1 when it is refused.

    Of several statements each is explained after what stands before it: BEGIN, and SET of shardproxy.tenant
    and shardproxy.read.
    """
    options = load(config)
    known = from_configuration(options) if offline else ask_a_shard(options)
    shard_map = known.shard_map
    text = os.fsencode(sql)  # the bytes that were typed, valid or not
    context = _context(options, shard_map, text, tenant, read)
    try:
        explained = _explain(text, param or [], known, shard_map, context)
    except StatementError as error:
        if as_json:
            write_json({"statements": [], "error": _error_json(error)})
            raise typer.Exit(1) from None
        fail(error, sql=sql)
    if as_json:
        write_json({"statements": [_as_json(statement, found) for statement, found in explained]})
    else:
        for statement, found in explained:
            _write(statement, found)
    if any(found.decision == "refused" for _, found in explained):
        raise typer.Exit(1)


def _context(
    config: Config, shard_map: ShardMap, text: bytes, tenant: str | None, read: ReadPolicy | None
) -> RoutingContext:
    """The session's part: the options, or a leading comment as the application would write it."""
    hints = leading_settings(text)
    named = tenant if tenant is not None else hints.get("shardproxy.tenant")
    wanted = hints.get("shardproxy.read", config.reads.default)
    if wanted not in tuple(ReadPolicy):
        raise StatementError(
            f'invalid value for parameter "shardproxy.read": "{wanted}"',
            sqlstate="22023",
            hint=f"Available values: {', '.join(ReadPolicy)}.",
        )
    policy = read or ReadPolicy(wanted)
    return RoutingContext(tenant_key(shard_map, named), policy)


def _explain(
    text: bytes, params: list[str], known: KnownSchema, shard_map: ShardMap, context: RoutingContext
) -> list[tuple[Statement, Explanation]]:
    planner = Planner(known.schema, shard_map.tables)
    values: Values
    if params:
        planned = planner.extended(text, known.search_path)
        values = BindValues((), [None if value == NULL else os.fsencode(value) for value in params])
    else:
        planned = planner.simple(text, known.search_path)
        values = LiteralValues(planned.literals)
    if params and len(planned.statements) > 1:
        raise StatementError("cannot insert multiple commands into a prepared statement", sqlstate="42601")
    explained = []
    course = Course(shard_map, context)
    for statement in planned.statements:
        explained.append((statement, _explain_one(statement, values, shard_map, course.context)))
        course.follow(statement)
    return explained


def _explain_one(
    statement: Statement, values: Values, shard_map: ShardMap, context: RoutingContext
) -> Explanation:
    if statement.kind not in ROUTED:
        return OF_SESSION
    outcome: Route | ShardproxyError
    try:
        outcome = find_route(statement, values, context, shard_map)
    except ShardproxyError as error:
        if error.sqlstate == NO_PARAMETER and error.hint is None:
            error.hint = "Give the values of its parameters with --param, in their order."
        outcome = error
    return explain(statement, outcome, shard_map, values)


def _error_json(error: StatementError) -> dict[str, Any]:
    return {
        "sqlstate": error.sqlstate,
        "message": error.message,
        "hint": error.hint,
        "position": error.position or None,
    }


def _as_json(statement: Statement, found: Explanation) -> dict[str, Any]:
    return {"tag": statement.tag, **asdict(found), "read_only": statement.read_only, "pins": statement.pins}


def _write(statement: Statement, found: Explanation) -> None:
    out = console()
    refused = found.decision == "refused"
    where = f": {', '.join(found.shards)} ({found.role})" if found.shards else ""
    style = "bold red" if refused else "bold green"
    out.print(
        f"{statement.tag or 'statement'}: ", f"{found.decision}{where}", sep="", style=style, markup=False
    )
    out.print(f"  why: {found.reason}", markup=False)
    if found.sqlstate:
        out.print(f"  SQLSTATE: {found.sqlstate}", markup=False)
    if found.hint:
        out.print(f"  hint: {found.hint}", markup=False)
    for key in found.keys:
        how = "placed" if key.placed else f"bucket {key.bucket}"
        out.print(f"  key {key.group}={key.text}: {how}, shard {key.shard}", markup=False)
    if statement.pins:
        out.print(f"  the session keeps its server connection: {statement.pins}", markup=False)
