"""How long tests that are marked ``chaos`` go on: briefly in an ordinary run, as long as is asked in ``make chaos``.

``SHARDPROXY_CHAOS_SECONDS``: each of them begins new rounds for that long. ``SHARDPROXY_CHAOS_MOVES``: how many
moves a round has where it has any. ``SHARDPROXY_CHAOS_SEED``: the first round's seed, to repeat one that failed.
"""

import os
import time
from collections.abc import Iterator
from itertools import count
from random import SystemRandom

SECONDS = float(os.environ.get("SHARDPROXY_CHAOS_SECONDS", "0"))
LONG = SECONDS > 0
"""Whether this is ``make chaos``."""


def rounds() -> Iterator[int]:
    """A seed for each round: one, or as many as fit; in ``make chaos`` other ones each time."""
    chosen = os.environ.get("SHARDPROXY_CHAOS_SEED")
    first = int(chosen) if chosen else SystemRandom().randrange(1 << 32) if LONG else 0
    deadline = time.monotonic() + SECONDS
    for seed in count(first):
        yield seed
        if time.monotonic() >= deadline:
            return


def moves(ordinary: int) -> int:
    """How many moves a round has."""
    return int(os.environ.get("SHARDPROXY_CHAOS_MOVES", "0")) or ordinary


def timeout(ordinary: float) -> float:
    """Seconds after which a test of so many ordinary ones hangs."""
    return ordinary + 2 * SECONDS
