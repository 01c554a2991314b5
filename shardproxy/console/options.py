"""The console's name, and who may use it."""

from dataclasses import dataclass
from typing import Final

NAME: Final = "shardproxy"
"""The database to connect to."""


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """``admins`` may say everything, ``readers`` SHOW only. ``has_operator``: moves can be driven."""

    admins: frozenset[str] = frozenset()
    readers: frozenset[str] = frozenset()
    has_operator: bool = False
