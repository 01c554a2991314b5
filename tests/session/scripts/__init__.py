"""Conversations with a server, as raw messages: what a private connection answers, the proxy must answer.

They touch only the coupons of the tenant ``hooli``, whose shard is not the designated one.
"""

from pathlib import Path

from tests.session.scripts import copying, extended, mixed, moving, pipelines, portals, wrong_messages
from tests.session.scripts.vocabulary import SCRIPTS, TENANT, Script, add, q

__all__ = ["MODULES", "SCRIPTS", "TENANT", "Script", "q"]

MODULES = (copying, extended, mixed, moving, pipelines, portals, wrong_messages)


def _read_simple() -> None:
    name = ""
    queries: list[bytes] = []
    for line in [*Path(__file__).with_name("simple.sql").read_text().splitlines(), "== "]:
        if line.startswith("== "):
            if queries:
                add(name, *queries)
            name, queries = line.removeprefix("== "), []
        elif line and not line.startswith("# "):
            queries.append(q("" if line == "<empty>" else line))


_read_simple()
