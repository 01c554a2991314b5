"""The values a statement runs with, in which routing finds keys: Bind parameters, or folded literals."""

from collections.abc import Sequence

from shardproxy.errors import Refused, ShardproxyError, StatementError
from shardproxy.topology.key_arrays import array_family_of, array_from_binary, array_from_text
from shardproxy.topology.keys import Key, KeyFamily, family_of, from_binary, from_text
from shardproxy.topology.type_oids import UNKNOWN, type_name


class Values:
    """Where routing finds the value behind a key source; this one has none, and says so as PostgreSQL does
    (42P02).
    """

    __slots__ = ()

    def literal(self, place: int) -> str:
        """The decoded text of the folded literal at ``place`` (from 0); a number's digits, without sign."""
        raise ShardproxyError(f"literal {place} of the statement has no value")

    def parameter(self, number: int, family: KeyFamily) -> Key | None:
        """The key in parameter ``$number`` (from 1), None for NULL."""
        raise StatementError(f"there is no parameter ${number}", sqlstate="42P02")

    def array(self, number: int, family: KeyFamily) -> Sequence[Key | None]:
        """The keys in the array that is parameter ``$number``; empty for a NULL array."""
        raise StatementError(f"there is no parameter ${number}", sqlstate="42P02")


class NoValues(Values):
    """A statement as it stands: neither literals nor parameters have values."""

    __slots__ = ()


class LiteralValues(Values):
    """The literals that were folded out of a simple query, in the order of their places."""

    __slots__ = ("texts",)

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts

    def literal(self, place: int) -> str:
        """The decoded text of the literal at ``place``."""
        if place >= len(self.texts):
            raise ShardproxyError(f"literal {place} of the statement has no value")
        return self.texts[place]


class BindValues(Values):
    """The parameters of one Bind message (manual, "Message Formats").

    ``formats`` is as in the message: none (all text), one for all, or one each; 0 is text, 1 binary.
    ``values`` has None for NULL. ``oids`` are the parameters' types, best those of ParameterDescription; 0
    or none at all where they are not known. A value whose type is not of the family is refused: equality
    with it may be another operator's than the key's.
    """

    __slots__ = ("formats", "oids", "values")

    def __init__(
        self, formats: Sequence[int], values: Sequence[bytes | None], oids: Sequence[int] = ()
    ) -> None:
        self.formats = formats
        self.values = values
        self.oids = oids

    def parameter(self, number: int, family: KeyFamily) -> Key | None:
        """The key in ``$number``. Raises InvalidKey, or Refused for a type that is not of ``family``."""
        value = self._value(number)
        if value is None:
            return None
        oid, binary = self._oid(number), self._is_binary(number)
        if oid == 0 or oid == UNKNOWN:
            if binary:
                raise _untyped(number)
            return from_text(family, value)
        if family_of(oid) is not family:
            raise _wrong_type(number, oid, family, f"${number}::{_CAST[family]}")
        return from_binary(oid, family, value) if binary else from_text(family, value)

    def array(self, number: int, family: KeyFamily) -> Sequence[Key | None]:
        """The keys in array ``$number``. Raises InvalidKey, or Refused for one that is not of ``family``."""
        value = self._value(number)
        if value is None:
            return ()
        oid, binary = self._oid(number), self._is_binary(number)
        if oid == 0 or oid == UNKNOWN:
            if binary:
                raise _untyped(number)
            return array_from_text(family, value)
        if array_family_of(oid) is not family:
            raise _wrong_type(number, oid, family, f"${number}::{_CAST[family]}[]")
        return array_from_binary(oid, family, value) if binary else array_from_text(family, value)

    def _value(self, number: int) -> bytes | None:
        """The value of ``$number``."""
        if number > len(self.values):
            raise StatementError(
                f"bind message supplies {len(self.values)} parameters, but the statement requires ${number}",
                sqlstate="08P01",
            )
        return self.values[number - 1]

    def _oid(self, number: int) -> int:
        """Its type; 0: not known."""
        return self.oids[number - 1] if number <= len(self.oids) else 0

    def _is_binary(self, number: int) -> bool:
        formats = self.formats
        return bool(formats) and formats[number - 1 if len(formats) > 1 else 0] == 1


_CAST = {KeyFamily.INTEGER: "bigint", KeyFamily.TEXT: "text", KeyFamily.UUID: "uuid"}


def _wrong_type(number: int, oid: int, family: KeyFamily, cast: str) -> Refused:
    return Refused(
        f"parameter ${number} has type {type_name(oid)}, the key is {family}",
        hint=f"Cast it: {cast}, or let the driver send it as a value of the key's type.",
    )


def _untyped(number: int) -> Refused:
    return Refused(
        f"parameter ${number} is sent in binary format and its type is not known",
        hint="Send the type's OID in Parse, describe the statement first, or send the value as text.",
    )
