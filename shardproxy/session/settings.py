"""A session's settings: what SET made of it on the servers, and what it told the proxy. Immutable values.

A server connection remembers which :class:`ServerSettings` it has; on checkout it is brought to the
session's, in one round trip, and only when they differ. Equal settings are one object, so comparing is an
``is``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final
from weakref import WeakValueDictionary

from shardproxy.errors import ShardproxyError
from shardproxy.routing.parameters import Values
from shardproxy.routing.route import ReadPolicy
from shardproxy.routing.router import RoutingContext
from shardproxy.session.script import script
from shardproxy.sql.statement import SettingChange
from shardproxy.topology.keys import Key, KeyFamily

SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*")


FOLDED: Final = (
    *("bytea_output", "extra_float_digits"),
    *("datestyle", "intervalstyle", "timezone", "timezone_abbreviations", "lc_monetary", "xmloption"),
)
"""Settings on which it depends which constants a prepared statement has: parsing reads its literals by them,
and planning evaluates functions that are declared immutable though they look at one.
"""
REQUIRED: Final = {"standard_conforming_strings": "on", "array_nulls": "on", "transform_null_equals": "off"}
"""Settings under which servers read statements and keys as we do, whatever their configuration says."""

_Change = tuple[str, tuple[str, str]]
_Changes = frozenset[_Change] | tuple[_Change, ...]


class ServerSettings:
    """Parameters that differ from a fresh connection's: lower-case name → (the SET that makes it so, its
    value).

    Values are interned: make them only by :meth:`of`, :meth:`changed` and :meth:`without`. ``folded`` tells
    those apart under which a plan may hold other constants, see :data:`FOLDED`.
    """

    __slots__ = ("__weakref__", "changes", "folded")
    _interned: ClassVar[WeakValueDictionary[_Changes, "ServerSettings"]] = WeakValueDictionary()

    def __init__(self, changes: Mapping[str, tuple[str, str]]) -> None:
        self.changes = changes
        self.folded = "".join([f" {name} {changes[name][1]}" for name in FOLDED if name in changes])

    @classmethod
    def of(cls, changes: Mapping[str, tuple[str, str]]) -> "ServerSettings":
        """The one object for these changes."""
        items = changes.items()
        key = (
            tuple(items) if "role" in changes else frozenset(items)
        )  # what a role may set depends on the order
        known = cls._interned.get(key)
        if known is None:
            known = cls._interned[key] = cls(dict(changes))
        return known

    def changed(self, name: str, sql: str, value: str) -> "ServerSettings":
        """These settings after ``sql`` has set ``name``; a later SET of the same name takes its place."""
        changes = dict(self.changes)
        changes.pop(name, None)
        changes[name] = (sql, value)
        return self.of(changes)

    def without(self, name: str) -> "ServerSettings":
        """These settings after RESET of ``name``."""
        changes = dict(self.changes)
        changes.pop(name, None)
        return self.of(changes)

    def value(self, name: str) -> str | None:
        """What ``name`` was set to, None when it was not."""
        change = self.changes.get(name)
        return None if change is None else change[1]

    def script(self) -> bytes:
        """The statements that bring any connection to these settings; each was accepted by a server
        before.
        """
        return script(["RESET ALL", "RESET ROLE", *(sql for sql, _ in self.changes.values())]).encode()


NO_SETTINGS = ServerSettings.of({})


SET_BY_QUERY: Final = "SELECT pg_catalog.set_config("
"""How a statement begins that sets, and returns a row."""


def set_statement(name: str, value: str, *, local: bool = False) -> str:
    """SET of a start-up parameter, whose value is any text; ``standard_conforming_strings`` is always on."""
    if not SETTING_NAME.fullmatch(name):
        raise ShardproxyError(f'invalid configuration parameter name "{name}"', sqlstate="42602")
    if name == "search_path":  # a list: set_config reads it as one, SET with one literal would not
        return f"{SET_BY_QUERY}'search_path', {quote_literal(value)}, {str(local).lower()})"
    return f"SET {'LOCAL ' if local else ''}{name} = {quote_literal(value)}"


def resolved(change: SettingChange, values: Values) -> SettingChange:
    """A set_config() call as the SET that does the same."""
    value = change.value
    if change.parameter:
        key = values.parameter(change.parameter, KeyFamily.TEXT)
        value = None if key is None else str(key, "utf-8")  # type: ignore[arg-type]  # TEXT keys are bytes
    sql = set_statement(change.name, value) if value is not None else f"RESET {change.name}"
    return SettingChange(change.name, value, change.local, sql)


def quote_literal(value: str) -> str:
    """An SQL string literal (manual, "String Constants"); the backslash has no meaning in it."""
    if "\0" in value:
        raise ShardproxyError('invalid byte sequence for encoding "UTF8": 0x00', sqlstate="22021")
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Settings:
    """All of a session's settings. ``tenant`` is the canonical key of ``tenant_text``, from
    ``shardproxy.tenant``. ``routing`` is what they mean to the router, outside and inside of a transaction.
    """

    server: ServerSettings = NO_SETTINGS
    tenant: Key | None = None
    tenant_text: str | None = None
    read: ReadPolicy = ReadPolicy.PRIMARY
    routing: tuple[RoutingContext, RoutingContext] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        outside, inside = (RoutingContext(self.tenant, self.read, in_block) for in_block in (False, True))
        object.__setattr__(self, "routing", (outside, inside))

    def with_server(self, server: ServerSettings) -> "Settings":
        """The same with other parameters on the servers."""
        return replace(self, server=server)


def parse_search_path(value: str) -> tuple[str, ...]:
    """The schemas that ``search_path`` names (guc: a list of identifiers, folded unless quoted)."""
    names = []
    for quoted, plain in re.findall(r'"((?:[^"]|"")*)"|([^,\s"]+)', value):
        names.append(quoted.replace('""', '"') if quoted else plain.lower())
    return tuple(name for name in names if name)
