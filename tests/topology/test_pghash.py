"""The hash functions give what real servers of several versions give, compiled and not."""

import json
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support import builds
from tests.topology.golden.generate import hashes

pghash = builds.fixture("shardproxy.topology.pghash")

GOLDEN = sorted((Path(__file__).parent / "golden").glob("hashes-*.json"))


def assert_equal_hashes(pghash: ModuleType, expected: dict[str, Any]) -> None:
    unsigned = 2**64 - 1
    for value, int8, int4, int2 in expected["integer"]:
        ours = pghash.hashint8extended(value)
        assert ours == int8 & unsigned, value
        assert int4 in (None, int8)
        assert int2 in (None, int8)
    for text, bigint in expected["text"]:
        assert pghash.hash_bytes_extended(text.encode()) == bigint & unsigned, text
    for text, bigint in expected["uuid"]:
        assert pghash.hash_bytes_extended(UUID(text).bytes) == bigint & unsigned, text


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_hashes_are_those_recorded_from_servers(pghash: ModuleType, path: Path) -> None:
    expected = json.loads(path.read_text())
    assert sum(len(expected[family]) for family in ("integer", "text", "uuid")) > 400
    assert_equal_hashes(pghash, expected)


def test_recorded_versions_agree_and_span_the_supported_ones() -> None:
    recorded = [json.loads(path.read_text()) for path in GOLDEN]
    majors = {int(each.pop("server_version").split(".")[0]) for each in recorded}
    assert {15, 18} <= majors
    assert all(each == recorded[0] for each in recorded)


def test_hashes_of_a_fresh_sample_are_those_of_a_live_server(
    pghash: ModuleType, live: psycopg.Connection
) -> None:
    assert_equal_hashes(pghash, hashes(live, Random()))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64, -(2**70)])
def test_an_integer_outside_of_int8_is_an_error(pghash: ModuleType, value: int) -> None:
    with pytest.raises(OverflowError):
        pghash.hashint8extended(value)


def test_both_builds_agree_on_every_length_and_alignment() -> None:
    pure, compiled = builds.pure("shardproxy.topology.pghash"), builds.compiled("shardproxy.topology.pghash")
    if compiled is None:
        pytest.skip("no C compiler or no Cython here")
    data = Random(7).randbytes(200) + b"\xff" * 60 + b"\x00" * 60
    for start in range(0, 320, 5):
        for length in range(40):
            piece = data[start : start + length]
            assert pure.hash_bytes_extended(piece) == compiled.hash_bytes_extended(piece)
