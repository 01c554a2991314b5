"""Answers of the console: typed columns, and rows in text format."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from shardproxy.wire.server_messages import Column, data_row, row_description

Value: TypeAlias = str | int | bool | datetime | None

TEXT: Final = 25
INT8: Final = 20
TIMESTAMPTZ: Final = 1184


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows under ``columns`` (names with TEXT, INT8 or TIMESTAMPTZ), and the tag that ends them; ``notices``
    go before.
    """

    columns: Sequence[tuple[str, int]]
    rows: Sequence[Sequence[Value]]
    tag: str = "SHOW"
    notices: Sequence[str] = ()

    def messages(self) -> Iterable[bytes]:
        """RowDescription and DataRows; nothing where there are no columns."""
        if not self.columns:
            return
        yield row_description(
            [Column(name, oid, type_size=-1 if oid == TEXT else 8) for name, oid in self.columns]
        )
        for row in self.rows:
            yield data_row([_text(value) for value in row])


def _text(value: Value) -> str | None:
    """As PostgreSQL writes it with DateStyle ISO and the time zone UTC."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"
    return str(value)
