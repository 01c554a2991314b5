"""Named points at which a crash test lets the driver end, stop or fail.

``SHARDPROXY_FAIL_POINT=name:action``, several separated by commas. Actions: ``kill`` (SIGKILL to this
process), ``stop`` (SIGSTOP: it goes on with SIGCONT), ``error``. Each happens once in a process.
"""

import os
import signal
from typing import Final

from shardproxy.errors import ShardproxyError

VARIABLE: Final = "SHARDPROXY_FAIL_POINT"

_done: set[str] = set()


class FailPointError(ShardproxyError):
    """The action ``error``."""


def fail_point(name: str) -> None:
    """Do what the environment says for the point ``name``; nothing where it says nothing."""
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
