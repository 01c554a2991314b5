"""Servers that break the protocol are found out, and no split of what they send makes a difference."""

import struct
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardproxy.errors import Blame, ProtocolViolation
from shardproxy.wire import server_messages as msg
from shardproxy.wire.client_messages import message
from tests.support import builds
from tests.wire.test_replies import (
    BLOCK,
    COLUMNS,
    COPY_DATA,
    COPY_DONE,
    COPY_OUT,
    ERROR,
    FAILED,
    IDLE,
    NOTICE,
    OURS,
    PARAMETERS,
    ROW,
    ROWS,
    SELECTED,
    SET,
    STATUS,
    big_row,
    play,
    splits,
)

replies = builds.fixture("shardproxy.wire.replies")

# --- violations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 3, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind", [b"D", b"d", b"C", b"Z", b"E"])
def test_a_hostile_length_is_a_violation(replies: ModuleType, kind: bytes, length: int) -> None:
    data = kind + struct.pack("!I", length) + b"xxxx"
    for chunks in ([data], *splits(data)):
        stream = replies.ReplyStream()
        stream.promise(replies.QUERY)
        with pytest.raises(ProtocolViolation) as caught:
            play(stream, chunks)
        assert caught.value.sqlstate == "08P01"
        assert caught.value.blame is Blame.SERVER


VIOLATIONS: dict[str, tuple[Callable[[Any], list[Any]], bytes]] = {
    "a row that nobody asked for": (lambda r: [], ROW),
    "a tag that nobody asked for": (lambda r: [], SELECTED),
    "a ready that nobody asked for": (lambda r: [], IDLE),
    "a second ready": (lambda r: [r.QUERY], SET + IDLE + IDLE),
    "a row before BindComplete": (lambda r: [r.BIND, r.EXECUTE, r.SYNC], ROW),
    "a row while ParseComplete of ours is owed": (lambda r: [r.Prepare(b"s"), r.QUERY], ROW),
    "a row instead of a description": (lambda r: [r.DESCRIBE, r.SYNC], ROW),
    "ready while rows are owed": (lambda r: [r.EXECUTE, r.SYNC], IDLE),
    "ready instead of ParseComplete of ours": (lambda r: [r.Prepare(b"s"), r.SYNC], IDLE),
    "BindComplete instead of ParseComplete": (lambda r: [r.PARSE, r.SYNC], msg.BIND_COMPLETE),
    "ParseComplete instead of CloseComplete of ours": (lambda r: [r.Deallocate(b"s")], msg.PARSE_COMPLETE),
    "a description instead of parameters": (lambda r: [r.Learn(), r.SYNC], COLUMNS),
    "a tag instead of a description": (lambda r: [r.DESCRIBE_STATEMENT, r.SYNC], PARAMETERS + SET),
    "anything instead of the error we provoked": (lambda r: [r.FailWith(OURS), r.SYNC], msg.BIND_COMPLETE),
    "ParseComplete in a simple query": (lambda r: [r.QUERY], msg.PARSE_COMPLETE),
    "an authentication request": (lambda r: [r.QUERY], message(b"R", b"\0\0\0\0")),
    "a second tag": (lambda r: [r.EXECUTE, r.SYNC], SET + SET),
    "ready of the wrong size": (lambda r: [r.QUERY], message(b"Z", b"II")),
    "ready without a status": (lambda r: [r.QUERY], message(b"Z", b"")),
    "ready with an unknown status": (lambda r: [r.QUERY], message(b"Z", b"X")),
    "ready with status zero": (lambda r: [r.QUERY], message(b"Z", b"\0")),
    "rows while Sync alone is owed": (lambda r: [r.SYNC], ROW),
    "copy data in a Bind": (lambda r: [r.BIND, r.SYNC], COPY_DATA),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_what_the_queue_does_not_explain_is_a_violation(replies: ModuleType, name: str) -> None:
    owed, data = VIOLATIONS[name]
    for chunks in ([data], *splits(data)):
        stream = replies.ReplyStream()
        for item in owed(replies):
            stream.promise(item)
        with pytest.raises(ProtocolViolation) as caught:
            play(stream, chunks)
        assert caught.value.blame is Blame.SERVER


# --- any conversation, any split ----------------------------------------------------------------------------

REPLY = st.sampled_from(
    [
        ("QUERY", COLUMNS + ROWS + SELECTED + IDLE),
        ("QUERY", ERROR + FAILED),
        ("QUERY", COPY_OUT + COPY_DATA + COPY_DONE + SET + IDLE),
        ("QUERY DROP", SET + COLUMNS + big_row(50) + SELECTED + IDLE),
        ("QUERY NO_READY", SET + STATUS + NOTICE + IDLE),
        ("QUERY ROWS", COLUMNS + ROWS + SELECTED + BLOCK),
        ("OURS", b""),
        ("PARSE", msg.PARSE_COMPLETE),
        ("BIND", msg.BIND_COMPLETE),
        ("CLOSE", NOTICE + msg.CLOSE_COMPLETE),
        ("DESCRIBE", COLUMNS),
        ("DESCRIBE_STATEMENT", PARAMETERS + msg.NO_DATA),
        ("EXECUTE", ROWS + SELECTED),
        ("EXECUTE", big_row(300) + msg.PORTAL_SUSPENDED),
        ("EXECUTE DROP", SET),
        ("SYNC", IDLE),
        ("SYNC DROP", BLOCK),
        ("PREPARE", msg.PARSE_COMPLETE),
        ("DEALLOCATE", msg.CLOSE_COMPLETE),
        ("LEARN", PARAMETERS + COLUMNS),
    ]
)


def item(replies: ModuleType, name: str) -> Any:
    ours = {"PREPARE": lambda: replies.Prepare(b"s"), "DEALLOCATE": lambda: replies.Deallocate(b"d")}
    if name in ours:
        return ours[name]()
    if name == "LEARN":
        return replies.Learn()
    if name == "OURS":
        return OURS
    return sum(getattr(replies, part) for part in name.split())


@settings(deadline=None)
@given(st.lists(REPLY, max_size=12), st.lists(st.integers(0, 1500), max_size=12))
def test_any_split_of_any_conversation_gives_the_same(
    conversation: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    data = b"".join(reply for _, reply in conversation)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    chunks = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    outcomes = []
    for module in (builds.pure("shardproxy.wire.replies"), builds.compiled("shardproxy.wire.replies")):
        if module is None:
            continue
        for pieces in ([data], chunks):
            stream = module.ReplyStream()
            for name, _ in conversation:
                stream.promise(item(module, name))
            outcomes.append(play(stream, pieces))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0].owed == 0


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(list(REPLY.elements)), max_size=4), st.lists(st.binary(max_size=20), max_size=5)
)
def test_no_bytes_do_anything_but_pass_or_violate(
    conversation: list[tuple[str, bytes]], garbage: list[bytes]
) -> None:
    outcomes = []
    for module in (builds.pure("shardproxy.wire.replies"), builds.compiled("shardproxy.wire.replies")):
        if module is None:
            continue
        stream = module.ReplyStream()
        for name, _ in conversation:
            stream.promise(item(module, name))
        try:
            outcomes.append(play(stream, [reply for _, reply in conversation] + garbage))
        except ProtocolViolation as error:
            outcomes.append(error.message)
    assert all(outcome == outcomes[0] for outcome in outcomes)
