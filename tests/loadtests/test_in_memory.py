"""The proxy in memory answers each shape of request as one over sockets would, and what it costs is found."""

import pytest

from loadtests.in_memory import PREPARE, SHAPES, InMemory, run
from shardproxy.wire.frames import FrameReader
from tests.support import aio

ROW = "TDCZ"
ANSWERS = {
    "simple": [ROW],
    "extended": ["12" + ROW],
    "prepared": ["2" + ROW],
    "transaction": ["CZ", ROW, ROW, "CZ"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_request_is_answered_at_once(shape: str) -> None:
    async def main() -> None:
        proxy = InMemory()
        await proxy.connect()
        await proxy.settle(PREPARE)
        for request in SHAPES[shape](1):
            await proxy.settle(request)
        answers = [proxy.ask(request) for request in SHAPES[shape](1)]
        kinds = ["".join(chr(kind) for kind, _ in FrameReader(1 << 20).feed(answer)) for answer in answers]
        assert kinds == ANSWERS[shape]

    aio.run(main())


def test_a_cost_is_found_for_every_shape() -> None:
    costs = aio.run(run(list(SHAPES), passes=1, repeats=1))
    assert list(costs) == list(SHAPES)
    assert min(costs.values()) > 0
