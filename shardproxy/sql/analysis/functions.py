"""What the functions a statement calls mean for its route."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shardproxy.errors import Refused
from shardproxy.sql.analysis import catalog_functions as catalog
from shardproxy.sql.analysis import movable, set_config
from shardproxy.sql.analysis.names import ASK_SHARDPROXY, Names
from shardproxy.sql.analysis.survey import Survey
from shardproxy.sql.analysis.tree import Node, strings
from shardproxy.sql.schema import OWN, OWN_FUNCTIONS, Function
from shardproxy.topology.tables import RelationName


@dataclass(slots=True)
class FunctionUse:
    """The functions of a statement, views included.

    ``reads``: a user's function that may read tables, and where it is called from if the statement does not
    name it; ``why``: what is not proven of it. ``local``: a function whose answer differs from server to
    server. ``binds``: the answer is this transaction's alone, see :mod:`movable`. ``sequence``: a sequence is
    changed. ``pins``: the session must keep its server connection. ``creates``: a temporary table.
    ``reveals``: a catalog that shows values of rows, or of what other sessions run.
    """

    volatile: bool = False
    binds: bool = False
    reads: str | None = None
    why: str | None = None
    local: str | None = None
    sequence: str | None = None
    pins: str | None = None
    creates: str | None = None
    notifies: bool = False
    unlocks: bool = False
    locks: bool = False
    reveals: str | None = None
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
        self._add_unnamed(found, names)
        if found.clock is not None:
            self.local = self.local or found.clock
        self.binds = self.binds or movable.binds(found, names)

    def add_catalog(self, name: str) -> None:
        """Account for a relation of the system's. Raises Refused for one that speaks of somebody else."""
        if name in catalog.CONNECTION_CATALOGS:
            raise _of_connection(name)
        if name in catalog.REVEALING_CATALOGS:
            self.reveals = self.reveals or name

    def read(self, function: str, why: str | None = None) -> None:
        """Note a function that may read tables; the first one counts."""
        if self.reads is None:
            self.reads, self.why = function, why

    def _add_unnamed(self, found: Survey, names: Names) -> None:
        """Functions that the text calls without their names: of operators, types and casts."""
        schema = names.schema
        for operator in sorted(found.operators & schema.reading_operators.keys()):
            for function in distrusted(schema.reading_operators[operator], names):
                self.read(f"{function[1]} behind the operator {operator}")
        if schema.reading_types:  # rare, and then a type may also be written as a function or a field
            called = {name for call in found.functions for name in strings(call.funcname)[-1:]}
            types = {name for named in found.types for name in named[-1:]}
            for type_name in sorted((types | found.fields | called) & schema.reading_types.keys()):
                for function in distrusted(schema.reading_types[type_name], names):
                    self.read(f"{function[1]} behind the type {type_name}")
        for cast in schema.reading_casts:
            for function in distrusted((cast.function,), names):
                self.read(f"{function[1]} behind the cast from {cast.source} to {cast.target}")

    def _add(self, call: Node, names: Names) -> None:
        parts = strings(call.funcname)
        name = parts[-1]
        if OWN in parts[:-1] or (len(parts) == 1 and name in OWN_FUNCTIONS and OWN in names.path):
            raise Refused(f"the function {OWN}.{name}, which is the proxy's own", hint=ASK_SHARDPROXY)
        for function in user_functions(parts, names):
            self._add_user(function, names)
        if len(parts) == 1 or parts[-2] == "pg_catalog":
            self._add_builtin(name)
            if name == "ts_rewrite" and len(call.args) < 3:  # the other form is given its queries
                raise _runs_text(name)
            if name == set_config.NAME:
                self.set_configs.append(call)
            if name == set_config.READING:
                self.volatile |= not set_config.check_read(call)
        if is_aggregate(call, names):
            self.aggregates.add(name)

    def _add_field(self, name: str, names: Names) -> None:
        """``x.f`` and ``(x).f`` are the function call ``f(x)`` where x has no column f (manual, 8.16.5)."""
        for function in user_functions((name,), names):
            self._add_user(function, names)
        if name in catalog.VOLATILE or name in catalog.RUNS_TEXT or name in catalog.READ_DATES:
            self._add_builtin(name)

    def _add_user(self, function: Function, names: Names) -> None:
        if function.name.startswith("dblink") and function.from_extension:
            raise Refused(f"the function {function.name}, which connects to another server")
        self.volatile |= function.volatility == "v"
        self.binds |= function.volatility != "i"
        if function.touches_tables and (function.schema, function.name) not in names.rules.trusted:
            self.read(function.name)

    def _add_builtin(self, name: str) -> None:
        _refuse(name)
        if name in catalog.VOLATILE or name in catalog.LIKE_VOLATILE:
            self.volatile = True
        if name in catalog.BINDING or name.startswith(catalog.BINDING_PREFIX):
            self.binds = True
        if name in catalog.CLOCKS:
            self.local = self.local or name
        if name in catalog.SEQUENCE_CHANGES:
            self.sequence = self.sequence or name
        if name in catalog.REVEALING_FUNCTIONS:
            self.reveals = self.reveals or f"{name}()"
        if name.startswith(catalog.ADVISORY_LOCKS):
            self.locks = True
        if name in catalog.SESSION_LOCKS:
            self.pins = "session advisory lock"
        if name == catalog.UNLOCKS_ALL:
            self.unlocks = True
        if name in catalog.SESSION_STATE:
            self.pins = self.pins or f"state of the function {name}"
        if name == "pg_notify":
            self.notifies = True
        if name in (set_config.NAME, set_config.READING):
            self.values_read = True


def distrusted(functions: Iterable[RelationName], names: Names) -> list[RelationName]:
    """Those for which the operator does not vouch."""
    return [function for function in functions if function not in names.rules.trusted]


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


def _runs_text(name: str) -> Refused:
    return Refused(f"{name}(), which reads tables that are named in a value")


def _of_connection(name: str) -> Refused:
    return Refused(f"{name}, which shows what other sessions prepared on the server connection")


def _refuse(name: str) -> None:
    if name in catalog.SEQUENCE_STATE:
        raise Refused(
            f"{name}(), which answers from the server connection of an earlier statement",
            hint="Use INSERT ... RETURNING, or call nextval() first and use its answer.",
        )
    if name.startswith("lo_") or name in ("loread", "lowrite"):
        raise Refused(f"the large object function {name}()", hint="Large objects are not sharded; use bytea.")
    if name in catalog.RUNS_TEXT:
        raise _runs_text(name)
    if name in catalog.CONNECTION_FUNCTIONS:
        raise _of_connection(f"{name}()")
    if name in catalog.SIGNALS:
        raise Refused(
            f"{name}(), whose server process may serve another session by now",
            hint="Cancel through the protocol, or call it on the shard itself.",
        )
    if name in catalog.SERVER_FILES:
        raise Refused(f"{name}(), which reads files of one server")
