"""What a session has done to its settings, blocks, statements, cursors, channels, tables and locks is its
own: sessions that share two server connections see what each sees alone.

SHARDPROXY_SESSIONS is how many are generated, SHARDPROXY_SEED from what.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from shardproxy.wire.frames import FrameReader
from tests.session.generated import session
from tests.session.test_parity import essence
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

SESSIONS = int(os.environ.get("SHARDPROXY_SESSIONS", "60"))
SEED = os.environ.get("SHARDPROXY_SEED", "state")
AT_ONCE = 4
REFUSAL = "M='shardproxy does not run this statement: "
STARTS: tuple[dict[str, str], ...] = (
    {"application_name": "only"},
    {"application_name": "first"},
    {"application_name": "many", "timezone": "Asia/Kolkata", "work_mem": "9MB"},
    {"search_path": "pg_catalog, public", "application_name": "last"},
)
"""What sessions begin with."""

Transcript = list[list[str]]


@pytest.fixture(scope="module")
def narrow(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy with two server connections to each shard."""
    with Proxy(cluster.config(pool={"size": 2})) as proxy:
        yield proxy


def play(dsn: str, steps: list[bytes], start: dict[str, str]) -> Transcript:
    """The answers to each step, up to a refusal: from there on a session is another one."""
    transcript: Transcript = []
    with WireClient(dsn, settings=start) as client:
        known = dict(client.parameters)
        for step in steps:
            transcript.append(essence(client.play(step), known))
            if any(REFUSAL in line for line in transcript[-1]):
                break
    return transcript


def difference(seed: str, steps: list[bytes], direct: Transcript, proxied: Transcript) -> str | None:
    """The first step that was answered otherwise than by a private connection; None where there is none."""
    for i, (expected, seen) in enumerate(zip(direct, proxied, strict=False)):
        if seen != expected and not any(REFUSAL in line for line in seen):
            sent = "\n".join(map(_text, steps[: i + 1]))
            return f"seed {seed}\n{sent}\nprivate: {expected}\nproxy:   {seen}"
    return None


def _text(step: bytes) -> str:
    """The step for people: types and texts of its messages."""
    messages = FrameReader(1 << 20).feed(step)
    return "  " + " ".join(
        f"{chr(kind)} {body.strip(bytes(1)).decode(errors='replace')!r}" for kind, body in messages
    )


@pytest.mark.parametrize(("shard", "whole_sessions"), [(0, 0.8), (1, 0.3)], ids=["designated", "elsewhere"])
def test_sessions_see_what_they_would_see_alone(
    cluster: Cluster, narrow: Proxy, shard: int, whole_sessions: float
) -> None:
    """Elsewhere, blocks that begin with what any shard can answer move, and pinned sessions are refused."""
    assert cluster.map.designated == 0
    tenant = cluster.tenants_of(shard)[0]
    seeds = [f"{SEED}-{shard}-{i}" for i in range(SESSIONS)]
    sessions = [session(Random(seed), i, tenant) for i, seed in enumerate(seeds)]
    starts = [STARTS[i % len(STARTS)] for i in range(SESSIONS)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        direct = list(threads.map(play, [cluster.dsn(shard)] * SESSIONS, sessions, starts))
        proxied = list(threads.map(play, [narrow.dsn()] * SESSIONS, sessions, starts))
    differences = [*filter(None, map(difference, seeds, sessions, direct, proxied))]
    assert not differences, f"{len(differences)} of {SESSIONS} sessions differ\n" + "\n\n".join(
        differences[:8]
    )
    whole = sum(len(seen) == len(steps) for seen, steps in zip(proxied, sessions, strict=True))
    print(f"{whole} of {SESSIONS} sessions without a refusal")
    assert whole >= SESSIONS * whole_sessions, "too many sessions ended in a refusal"
