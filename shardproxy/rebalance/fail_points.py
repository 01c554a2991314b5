"""Named points at which a crash test lets the driver end, stop or fail.

``SHARDPROXY_FAIL_POINT=name:action``, several separated by commas. Actions: ``kill`` (SIGKILL to this
process), ``stop`` (SIGSTOP: it goes on with SIGCONT), ``error``. Each happens once in a process.
"""

import os
import signal
from collections.abc import Mapping
from typing import Final

from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.steps import Step

VARIABLE: Final = "SHARDPROXY_FAIL_POINT"

POINTS: Final[Mapping[Step, tuple[str, ...]]] = {
    Step.PLANNED: ("planned",),
    Step.ANNOUNCE: ("announce", "announce.told"),
    Step.RETIRE: ("retire", "retire.table"),
    Step.COPY: ("copy", "copy.published", "copy.slot", "copy.table", "copy.copied"),
    Step.FOLLOW: ("follow", "follow.close"),
    Step.WAY_BACK: ("way_back", "way_back.published", "way_back.slot"),
    Step.FENCE: ("fence", "fence.drained"),
    Step.ARRIVE: ("arrive", "arrive.arrived"),
    Step.HOLD: ("hold",),
    Step.CARRY: ("carry", "carry.copied"),
    Step.COMPARE: ("compare",),
    Step.FLIP: ("flip", "flip.published"),
    Step.VERIFY: ("verify", "verify.table"),
    Step.SOAK: ("soak", "soak.positioned"),
    Step.RETIRE_SOURCE: ("retire_source",),
    Step.CLEAN: ("clean", "remove.unsubscribed", "remove.batch"),
    Step.SETTLE: ("settle", "settle.published", "forget.table"),
    Step.ABORT: ("abort", "abort.removed"),
}
"""The points of each step, in their order; the first is where it begins, once it is in the journal."""

ADOPTED: Final = "copy.adopted"
"""In the step ``copy`` of a rollback, which copies nothing."""

_known: Final = frozenset(point for points in POINTS.values() for point in points) | {ADOPTED}
_done: set[str] = set()


class FailPointError(ShardproxyError):
    """The action ``error``."""


def fail_point(name: str) -> None:
    """Do what the environment says for the point ``name``; nothing where it says nothing."""
    assert name in _known, name
    wanted = os.environ.get(VARIABLE)
    if not wanted or name in _done:
        return
    for entry in wanted.split(","):
        point, _, action = entry.partition(":")
        if point == name:
            _done.add(name)
            _act(name, action)


def _act(name: str, action: str) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "error":
            raise FailPointError(f"fail point {name}")
        case _:
            raise FailPointError(f'fail point {name}: the action "{action}" is unknown')
