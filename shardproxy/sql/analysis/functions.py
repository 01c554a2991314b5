"""What the functions a statement calls mean for its route."""

from dataclasses import dataclass, field

from shardproxy.errors import Refused
from shardproxy.sql.analysis import catalog_functions as catalog
from shardproxy.sql.analysis import set_config
from shardproxy.sql.analysis.names import ASK_SHARDPROXY, Names
from shardproxy.sql.analysis.survey import Survey
from shardproxy.sql.analysis.tree import Node, strings
from shardproxy.sql.schema import OWN, OWN_FUNCTIONS, Function


@dataclass(slots=True)
class FunctionUse:
    """The functions of a statement, views included.

    ``reads``: a user's function that may read tables. ``local``: a function whose answer differs from server
    to server. ``sequence``: a sequence is changed. ``pins``: the session must keep its server connection.
    """

    volatile: bool = False
    reads: str | None = None
    local: str | None = None
    sequence: str | None = None
    pins: str | None = None
    notifies: bool = False
    values_read: bool = False  # a decision looked at the value of an argument
    aggregates: set[str] = field(default_factory=set)
    set_configs: list[Node] = field(default_factory=list)

    def add_all(self, found: Survey, names: Names) -> None:
        """Account for every function call of a text. Raises Refused for one that can run nowhere."""
        for call in found.functions:
            self._add(call, names)
        for name in sorted(found.fields):
            self._add_field(name, names)
        self.volatile |= not found.operators.isdisjoint(names.schema.user_operators)
        for operator in sorted(found.operators & names.schema.reading_operators):
            self.reads = self.reads or f"behind the operator {operator}"
        if found.clock is not None:
            self.local = self.local or found.clock

    def _add(self, call: Node, names: Names) -> None:
        parts = strings(call.funcname)
        name = parts[-1]
        if OWN in parts[:-1] or (len(parts) == 1 and name in OWN_FUNCTIONS and OWN in names.path):
            raise Refused(f"the function {OWN}.{name}, which is the proxy's own", hint=ASK_SHARDPROXY)
        for function in user_functions(parts, names):
            self._add_user(function)
        if len(parts) == 1 or parts[-2] == "pg_catalog":
            self._add_builtin(name)
            if name == set_config.NAME:
                self.set_configs.append(call)
            if name == set_config.READING:
                set_config.check_read(call)
        if is_aggregate(call, names):
            self.aggregates.add(name)

    def _add_field(self, name: str, names: Names) -> None:
        """``x.f`` and ``(x).f`` are the function call ``f(x)`` where x has no column f (manual, 8.16.5)."""
        for function in user_functions((name,), names):
            self._add_user(function)
        if name in catalog.VOLATILE or name in catalog.RUNS_TEXT:
            self._add_builtin(name)

    def _add_user(self, function: Function) -> None:
        if function.name.startswith("dblink") and function.from_extension:
            raise Refused(f"the function {function.name}, which connects to another server")
        self.volatile |= function.volatility == "v"
        trusted = function.from_extension or (function.volatility == "i" and function.kind != "a")
        if function.reads and not trusted:
            self.reads = self.reads or function.name

    def _add_builtin(self, name: str) -> None:
        _refuse(name)
        if name in catalog.VOLATILE or name in catalog.LIKE_VOLATILE:
            self.volatile = True
        if name in catalog.CLOCKS:
            self.local = self.local or name
        if name in catalog.SEQUENCE_CHANGES:
            self.sequence = self.sequence or name
        if name in catalog.SESSION_LOCKS:
            self.pins = "session advisory lock"
        if name in catalog.SESSION_STATE:
            self.pins = self.pins or f"state of the function {name}"
        if name == "pg_notify":
            self.notifies = True
        if name in (set_config.NAME, set_config.READING):
            self.values_read = True


def user_functions(parts: tuple[str, ...], names: Names) -> list[Function]:
    """The functions outside pg_catalog that a call may mean, whatever its arguments."""
    candidates = names.schema.functions.get(parts[-1], ())
    schemas = names.path if len(parts) == 1 else (parts[-2],)
    return [function for function in candidates if function.schema in schemas]


def is_aggregate(call: Node, names: Names) -> bool:
    """Whether a call is, or may be, an aggregate (or an aggregate used as a window function)."""
    if (
        call.agg_star
        or call.agg_distinct
        or call.agg_within_group
        or call.agg_order
        or call.HasField("agg_filter")
    ):
        return True
    parts = strings(call.funcname)
    if parts[-1] in catalog.AGGREGATES and (len(parts) == 1 or parts[-2] == "pg_catalog"):
        return True
    return any(function.kind == "a" for function in user_functions(parts, names))


def _refuse(name: str) -> None:
    if name in catalog.SEQUENCE_STATE:
        raise Refused(
            f"{name}(), which answers from the server connection of an earlier statement",
            hint="Use INSERT ... RETURNING, or call nextval() first and use its answer.",
        )
    if name.startswith("lo_") or name in ("loread", "lowrite"):
        raise Refused(f"the large object function {name}()", hint="Large objects are not sharded; use bytea.")
    if name in catalog.RUNS_TEXT:
        raise Refused(f"{name}(), which reads tables that are named in a value")
    if name in catalog.SERVER_FILES:
        raise Refused(f"{name}(), which reads files of one server")
