"""A byte stream is cut into the messages it holds, however it was split on its way; no length is trusted."""

import struct
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardproxy.errors import ProtocolViolation
from shardproxy.wire import client_messages as client
from tests.support import builds

frames = builds.fixture("shardproxy.wire.frames")

LIMIT = 1000

STREAM = b"".join(
    [
        client.query(b"SELECT 1"),
        client.SYNC,
        client.parse(b"name", b"SELECT $1", [23]),
        client.bind(b"", b"name", [1], [b"\0\0\0\7"]),
        client.FLUSH,
        client.copy_data(b""),
        client.copy_data(b"x" * 300),
        client.TERMINATE,
    ]
)

Message = tuple[int, bytes]


def messages_of(stream: bytes) -> list[Message]:
    """The messages, cut the obvious way."""
    found = []
    while stream:
        length = struct.unpack_from("!I", stream, 1)[0]
        found.append((stream[0], stream[5 : length + 1]))
        stream = stream[length + 1 :]
    return found


def header(length: int) -> bytes:
    return b"Q" + struct.pack("!I", length)


def test_whole_stream_at_once(frames: ModuleType) -> None:
    reader = frames.FrameReader(LIMIT)
    assert reader.feed(STREAM) == messages_of(STREAM)
    assert reader.buffered == 0


def test_split_at_every_byte(frames: ModuleType) -> None:
    for at in range(len(STREAM) + 1):
        reader = frames.FrameReader(LIMIT)
        assert reader.feed(STREAM[:at]) + reader.feed(STREAM[at:]) == messages_of(STREAM), at


def test_byte_by_byte_each_message_comes_with_its_last_byte(frames: ModuleType) -> None:
    reader = frames.FrameReader(LIMIT)
    ends = {}
    for at in range(len(STREAM)):
        for message in reader.feed(STREAM[at : at + 1]):
            ends[at + 1] = message
    expected, end = {}, 0
    for message in messages_of(STREAM):
        end += 5 + len(message[1])
        expected[end] = message
    assert ends == expected


def test_buffered_counts_the_bytes_of_an_unfinished_message(frames: ModuleType) -> None:
    reader = frames.FrameReader(LIMIT)
    assert reader.feed(client.SYNC + b"Q\0\0") == [(ord("S"), b"")]
    assert reader.buffered == 3
    assert reader.feed(b"\0\x0bSEL") == []
    assert reader.buffered == 8
    assert reader.feed(b"ECT\0") == [(ord("Q"), b"SELECT\0")]
    assert reader.buffered == 0


def test_nothing_in_nothing_out(frames: ModuleType) -> None:
    reader = frames.FrameReader(LIMIT)
    assert reader.feed(b"") == []
    assert reader.feed(b"S\0\0\0") == []
    assert reader.feed(b"") == []
    assert reader.feed(b"\4") == [(ord("S"), b"")]


@pytest.mark.parametrize("length", [0, 1, 3, LIMIT + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4])
def test_a_hostile_length_is_refused_with_the_header(frames: ModuleType, length: int) -> None:
    for at in range(6):
        reader = frames.FrameReader(LIMIT)
        with pytest.raises(ProtocolViolation, match="invalid message length") as caught:
            reader.feed(header(length)[:at])
            reader.feed(header(length)[at:] + b"x" * (5 - at))
        assert caught.value.sqlstate == "08P01"


def test_the_largest_message_that_is_allowed(frames: ModuleType) -> None:
    body = b"x" * (LIMIT - 4)
    reader = frames.FrameReader(LIMIT)
    assert reader.feed(header(LIMIT) + body) == [(ord("Q"), body)]


def test_nothing_is_kept_by_an_announced_length(frames: ModuleType) -> None:
    reader = frames.FrameReader(2**31 - 1)
    assert reader.feed(header(2**31 - 1) + b"x") == []
    assert reader.buffered == 6


def test_messages_before_a_bad_one_are_not_lost_in_a_later_chunk(frames: ModuleType) -> None:
    reader = frames.FrameReader(LIMIT)
    assert reader.feed(client.SYNC + b"Q") == [(ord("S"), b"")]
    with pytest.raises(ProtocolViolation):
        reader.feed(struct.pack("!I", 2))


@given(
    bodies=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=20),
    cuts=st.lists(st.integers(0, 900), max_size=20),
)
def test_any_split_gives_the_same_messages(bodies: list[Message], cuts: list[int]) -> None:
    stream = b"".join(client.message(bytes((kind,)), body) for kind, body in bodies)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    for module in (builds.pure("shardproxy.wire.frames"), builds.compiled("shardproxy.wire.frames")):
        if module is None:
            continue
        reader = module.FrameReader(LIMIT)
        found: list[Message] = []
        for start, end in zip([0, *ends], ends, strict=False):
            found += reader.feed(stream[start:end])
        assert found == bodies


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_no_bytes_do_anything_but_cut_or_refuse(chunks: list[bytes]) -> None:
    outcomes = []
    for module in (builds.pure("shardproxy.wire.frames"), builds.compiled("shardproxy.wire.frames")):
        if module is None:
            continue
        reader = module.FrameReader(LIMIT)
        seen: list[Message | str] = []
        try:
            for chunk in chunks:
                seen += reader.feed(chunk)
                assert reader.buffered <= sum(map(len, chunks))
        except ProtocolViolation as error:
            seen.append(error.message)
        outcomes.append(seen)
    assert all(seen == outcomes[0] for seen in outcomes)
