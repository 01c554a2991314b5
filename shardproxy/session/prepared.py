"""Prepared statements: a client's names, the texts behind them, and what servers said of those texts.

A client's name means a text and parameter types. On servers the same text and types have one name of ours,
derived from them and the search_path, whichever client prepared it; so a server connection holds each
statement once. What means something else to each session (a temporary table, a cursor) has a name of its own
and is described anew.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from shardproxy.backend.connection import ServerConnection
from shardproxy.routing.parameters import Values
from shardproxy.routing.route import FanOut
from shardproxy.sql.hints import leading_settings
from shardproxy.sql.planner import Planner
from shardproxy.sql.statement import Kind, Parameter, Reach, Statement
from shardproxy.wire.client_messages import message
from shardproxy.wire.replies import Learn
from shardproxy.wire.server_messages import parse_parameter_description, shape_of

if TYPE_CHECKING:
    from shardproxy.session.request import Request


REMEMBERED_TEXT: Final = 4096
"""Bytes of the longest text whose name on servers is remembered; finding it costs as much as a query."""

NOT_PLANNED: Final = Statement(Kind.EMPTY, "", Reach.REFUSED)


@dataclass(frozen=True, slots=True)
class Description:
    """What a server said of a statement: parameter types, and both messages as they answer Describe."""

    oids: tuple[int, ...]
    parameters: bytes  # the ParameterDescription message
    row: bytes  # the RowDescription or NoData message
    shape: bytes  # of both, as of server_messages.shape_of


def described(learned: Learn) -> Description:
    """What a server has answered."""
    assert learned.parameters is not None
    assert learned.row is not None
    oids = parse_parameter_description(learned.parameters)
    shape = shape_of(learned.parameters, learned.row)
    return Description(oids, message(b"t", learned.parameters), learned.row, shape)


class Prepared:
    """One prepared statement of one client.

    ``text`` is what the client wrote, ``oids`` the parameter types it gave, ``owner`` the session and its
    name for it, ``folded`` that of the settings that it runs under. ``statement`` is its plan by
    ``planner`` under ``search_path``, ``name`` what servers call it. ``description`` is None until a server
    was asked. ``is_new``: what a server has under its name is an earlier statement of the session's. ``told``
    is the shape of what the client was told when it asked, None before; it is never told anything else.
    """

    __slots__ = (
        *("description", "folded", "is_new", "name", "oids", "owner", "planner", "search_path"),
        *("_own", "statement", "text", "told"),
    )

    def __init__(self, text: bytes, oids: tuple[int, ...], owner: bytes) -> None:
        self.text = text
        self.owner = owner
        self.is_new = False
        self.oids = oids
        self.folded = ""
        self.statement = NOT_PLANNED
        self.planner: Planner | None = None
        self.search_path: tuple[str, ...] = ()
        self.name = b""
        self.description: Description | None = None
        self.told: bytes | None = None
        self._own: Mapping[str, str] | None = None

    def own_settings(self) -> Mapping[str, str]:
        """The settings of the text's leading comments, looked for once. Raises as ``leading_settings``."""
        if self._own is None:
            self._own = leading_settings(self.text)
        return self._own

    def take(self, statement: Statement, planner: Planner, search_path: tuple[str, ...]) -> None:
        """A plan in place of the one before, with which the server's description goes."""
        self.is_new |= statement.private and not self.statement.private
        self.statement, self.planner, self.search_path = statement, planner, search_path
        self.name = self.name_of(self.text)
        self.description = None

    def under(self, folded: str) -> None:
        """From now on it is known on servers as what was prepared under settings that ``folded`` tells of."""
        if folded != self.folded:
            self.folded = folded
            self.name = self.name_of(self.text)

    def needs_types(self) -> bool:
        """Routing reads a parameter whose type the client did not give: only a server knows which it
        inferred.
        """
        oids = self.oids
        for key_set in self.statement.key_sets:
            for source in key_set.sources:
                if isinstance(source, Parameter) and (
                    source.number > len(oids) or not oids[source.number - 1]
                ):
                    return True
        return False

    def takes(self, count: int) -> bool:
        """Whether a Bind may have ``count`` values, as far as that is known."""
        wanted = self.parameter_count()
        return wanted is None or wanted == count

    def parameter_count(self) -> int | None:
        """How many values a Bind must have; None where only a server knows."""
        if self.description is not None:
            return len(self.description.oids)
        return None if self.statement.plain or self.statement.kind is Kind.QUERY else 0

    def name_of(self, text: bytes, folded: str | None = None) -> bytes:
        """The name on servers of ``text``, which was made of this statement's; ``folded`` if that is another
        one there.
        """
        owner = self.owner if self.statement.private else b""
        folded = self.folded if folded is None else folded
        return server_name(text, self.oids, self.search_path, owner, folded)

    def prepare(self, connection: ServerConnection, name: bytes, text: bytes) -> bytes:
        """The messages that prepare ``text``, as :meth:`ServerConnection.prepare` has them."""
        self.renew(connection, name)
        return connection.prepare(name, text, self.oids)

    def renew(self, connection: ServerConnection, name: bytes) -> None:
        """Have it prepared anew where a server has an earlier statement under its name."""
        if self.is_new:
            self.is_new = False
            connection.expire(name)

    def value_oids(self) -> tuple[int, ...]:
        """The parameter types as far as they are known."""
        return self.oids if self.description is None else self.description.oids


def server_name(
    text: bytes, oids: tuple[int, ...], search_path: tuple[str, ...], owner: bytes, folded: str = ""
) -> bytes:
    """The name of a statement on servers: another for each text, types, path, and settings that its plan
    keeps; ``owner``: of one that nobody else may use.
    """
    find = _remembered_name if len(text) <= REMEMBERED_TEXT else _name
    return find(text, oids, search_path, owner, folded)


def _name(
    text: bytes, oids: tuple[int, ...], search_path: tuple[str, ...], owner: bytes, folded: str
) -> bytes:
    digest = blake2b(b"%a\0%b\0%b" % ((oids, search_path, folded), owner, text), digest_size=12)
    return b"sp_" + digest.hexdigest().encode()


_remembered_name = lru_cache(maxsize=2048)(_name)


class Portal:
    """A portal of one client.

    ``local``: the proxy answers its Execute. ``fan_out``: it reads several shards, with the message
    ``bind``; ``executed`` once it has, ``told`` the shape that the client was told of it. Neither: it is a
    portal on the session's connection. ``name`` and ``text`` are of the statement on a server; ``rewritten``:
    the text is not the client's.
    """

    __slots__ = (
        "bind",
        "executed",
        "fan_out",
        "local",
        "name",
        "prepared",
        "request",
        "result_formats",
        "rewritten",
        "text",
        "told",
        "values",
    )

    def __init__(self, prepared: Prepared, values: Values, result_formats: tuple[int, ...]) -> None:
        self.prepared = prepared
        self.values = values
        self.result_formats = result_formats
        self.local = False
        self.request: Request | None = None
        self.fan_out: FanOut | None = None
        self.executed = self.rewritten = False
        self.told: bytes | None = None
        self.name = self.text = self.bind = b""


DescriptionKey = tuple[bytes, tuple[int, ...], tuple[str, ...], str | None]
"""Text, parameter types, search_path, role: what a description depends on, besides the schema."""


class Descriptions:
    """What servers said of statements, for all sessions; bounded in bytes, least recently used out first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._known: OrderedDict[DescriptionKey, Description] = OrderedDict()

    def get(self, key: DescriptionKey) -> Description | None:
        """The description, if it is known."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, key: DescriptionKey, description: Description) -> None:
        """Keep a description."""
        if key in self._known:
            self._drop(key)
        size = self._size(key, description)
        if size > self.limit // 8:
            return
        self._known[key] = description
        self.bytes += size
        while self.bytes > self.limit:
            self._drop(next(iter(self._known)))

    def _drop(self, key: DescriptionKey) -> None:
        self.bytes -= self._size(key, self._known.pop(key))

    def discard(self, text: bytes) -> None:
        """Forget what depends on ``text``: a server said that it no longer holds."""
        for key in [key for key in self._known if key[0] == text]:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything: the schema changed."""
        self._known.clear()
        self.bytes = 0

    @staticmethod
    def _size(key: DescriptionKey, description: Description) -> int:
        return 500 + len(key[0]) + len(description.parameters) + len(description.row)
