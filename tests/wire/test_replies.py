"""What a server sends is paid off against what it owes: what is the client's goes through, ours stays.

Each case is a transcript. It is played whole, and split in two at every byte: the outcome must be the same.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from shardproxy.errors import ProtocolViolation, ShardproxyError
from shardproxy.wire import server_messages as msg
from shardproxy.wire.client_messages import message
from tests.support import builds, transcript

replies = builds.fixture("shardproxy.wire.replies")

# What a server sends.
COLUMNS = msg.row_description([msg.Column("a"), msg.Column("b", 23)])
PARAMETERS = msg.parameter_description([25, 23])
ROW = msg.data_row(["x", None])
ROWS = ROW * 3
SELECTED = msg.command_complete("SELECT 3")
SET = msg.command_complete("SET")
IDLE = msg.ready_for_query(msg.READY_IDLE)
BLOCK = msg.ready_for_query(msg.READY_TRANSACTION)
FAILED = msg.ready_for_query(msg.READY_FAILED)
ERROR = msg.error_response(ShardproxyError("no", sqlstate="42P01", position=12))
NOTICE = msg.notice_response("WARNING", "25001", "hm")
STATUS = msg.parameter_status("TimeZone", "UTC")
NOTIFICATION = message(b"A", b"\0\0\0\7channel\0payload\0")
COPY_IN = message(b"G", b"\0\0\0")
COPY_OUT = message(b"H", b"\0\0\0")
COPY_DATA = message(b"d", b"1\t2\n")
COPY_DONE = message(b"c", b"")
OURS = b"!an answer of our own!"


@dataclass
class Seen:
    """Everything that came out of a stream."""

    client: bytes = b""
    readies: str = ""
    failed: list[Any] = field(default_factory=list)
    learned: list[Any] = field(default_factory=list)
    asides: list[tuple[int, bytes]] = field(default_factory=list)
    copies: int = 0
    error: bytes | None = None
    description: bytes | None = None
    tag: bytes | None = None
    stale: bytes | None = None
    owed: int = 0


def play(stream: Any, chunks: Sequence[bytes]) -> Seen:
    """Feed ``chunks`` as a server connection does."""
    seen = Seen()

    def collect() -> None:
        seen.client += b"".join(stream.out)
        stream.out = []
        seen.failed += [item.name for item in stream.failed]
        stream.failed = []
        seen.learned += [(item.parameters, item.row) for item in stream.learned]
        stream.learned = []
        seen.asides += stream.asides
        stream.asides = []
        seen.copies += stream.copy_in
        stream.copy_in = False
        if stream.ready:
            seen.readies += chr(stream.ready)
            stream.ready = 0

    collect()
    for chunk in chunks:
        at = stream.feed(chunk)
        collect()
        while at < len(chunk):
            at = stream.feed(chunk, at)
            collect()
    seen.error, seen.description, seen.tag = stream.error, stream.description, stream.tag
    seen.stale, seen.owed = stream.stale, len(stream.owed)
    return seen


def splits(data: bytes) -> Iterator[list[bytes]]:
    """In two at every byte, and byte by byte."""
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
    yield [data[i : i + 1] for i in range(len(data))]


def play_all(
    replies: ModuleType, owed: Callable[[ModuleType], list[Any]], data: bytes, prefix: int = 0
) -> Seen:
    """The outcome of ``data``, which must be the same however it is split."""

    def stream() -> Any:
        made = replies.ReplyStream()
        made.prefix = prefix
        for item in owed(replies):
            made.promise(item)
        return made

    whole = play(stream(), [data])
    for chunks in splits(data):
        assert play(stream(), chunks) == whole, [len(chunk) for chunk in chunks]
    return whole


# --- what the client asked for goes through -----------------------------------------------------------------

RELAYED: dict[str, tuple[Callable[[Any], list[Any]], bytes]] = {
    "a query": (lambda r: [r.QUERY], COLUMNS + ROWS + SELECTED + IDLE),
    "several statements in one query": (lambda r: [r.QUERY], SET + COLUMNS + ROWS + SELECTED + SET + IDLE),
    "an empty query": (lambda r: [r.QUERY], msg.EMPTY_QUERY + IDLE),
    "a query that fails": (lambda r: [r.QUERY], COLUMNS + ROW + ERROR + IDLE),
    "a notice among rows": (lambda r: [r.QUERY], COLUMNS + ROW + NOTICE + ROW + SELECTED + IDLE),
    "a notification and a new setting": (lambda r: [r.QUERY], SET + STATUS + NOTIFICATION + IDLE),
    "copy to the client": (lambda r: [r.QUERY], COPY_OUT + COPY_DATA * 3 + COPY_DONE + SELECTED + IDLE),
    "copy from the client": (lambda r: [r.QUERY], COPY_IN + SELECTED + IDLE),
    "copy from the client that fails": (lambda r: [r.QUERY], COPY_IN + ERROR + IDLE),
    "two queries": (lambda r: [r.QUERY, r.QUERY], SET + IDLE + ERROR + FAILED),
    "an extended query": (
        lambda r: [r.PARSE, r.BIND, r.DESCRIBE, r.EXECUTE, r.CLOSE, r.SYNC],
        msg.PARSE_COMPLETE + msg.BIND_COMPLETE + COLUMNS + ROWS + SELECTED + msg.CLOSE_COMPLETE + BLOCK,
    ),
    "a described statement": (lambda r: [r.DESCRIBE_STATEMENT, r.SYNC], PARAMETERS + COLUMNS + IDLE),
    "a described statement without rows": (
        lambda r: [r.DESCRIBE_STATEMENT, r.SYNC],
        PARAMETERS + msg.NO_DATA + IDLE,
    ),
    "a portal in parts": (
        lambda r: [r.BIND, r.EXECUTE, r.EXECUTE, r.SYNC],
        msg.BIND_COMPLETE + ROW + msg.PORTAL_SUSPENDED + ROW + SELECTED + IDLE,
    ),
    "an empty statement": (lambda r: [r.BIND, r.EXECUTE, r.SYNC], msg.BIND_COMPLETE + msg.EMPTY_QUERY + IDLE),
    "extended copy": (lambda r: [r.EXECUTE, r.SYNC], COPY_OUT + COPY_DATA + COPY_DONE + SELECTED + IDLE),
    "an error skips to Sync": (
        lambda r: [r.BIND, r.EXECUTE, r.SYNC, r.BIND, r.EXECUTE, r.SYNC],
        ERROR + IDLE + msg.BIND_COMPLETE + SELECTED + IDLE,
    ),
    "an error in the second of two Executes": (
        lambda r: [r.BIND, r.EXECUTE, r.BIND, r.EXECUTE, r.CLOSE, r.SYNC],
        msg.BIND_COMPLETE + SELECTED + msg.BIND_COMPLETE + ROW + ERROR + FAILED,
    ),
}


@pytest.mark.parametrize("name", RELAYED)
def test_what_the_client_asked_for_goes_through(replies: ModuleType, name: str) -> None:
    owed, data = RELAYED[name]
    seen = play_all(replies, owed, data)
    assert seen.client == data
    assert seen.owed == 0
    assert len(seen.readies) == data.count(b"Z\0\0\0\5")
    assert seen.copies == data.count(COPY_IN)
    assert seen.failed == []


def test_a_run_of_messages_is_one_slice(replies: ModuleType) -> None:
    stream = replies.ReplyStream()
    stream.promise(replies.QUERY)
    data = COLUMNS + ROW * 500 + SELECTED + IDLE
    assert stream.feed(data) == len(data)
    assert stream.out == [data]


def test_feed_stops_behind_each_ready(replies: ModuleType) -> None:
    stream = replies.ReplyStream()
    stream.promise(replies.QUERY)
    stream.promise(replies.QUERY)
    first, second = SET + IDLE, SELECTED + BLOCK
    data = first + second
    at = stream.feed(data)
    assert (at, stream.ready, stream.out) == (len(first), msg.READY_IDLE, [first])
    stream.out = []
    at = stream.feed(data, at)
    assert (at, stream.ready, stream.out) == (len(data), msg.READY_TRANSACTION, [second])


def test_offsets_count_in_the_chunk_that_was_passed(replies: ModuleType) -> None:
    data = SET + IDLE + SELECTED + BLOCK
    for cut in range(1, len(SET + IDLE)):
        stream = replies.ReplyStream()
        stream.promise(replies.QUERY)
        stream.promise(replies.QUERY)
        assert stream.feed(data[:cut]) == cut
        assert stream.feed(data[cut:]) == len(SET + IDLE) - cut
        assert stream.feed(data[cut:], len(SET + IDLE) - cut) == len(data) - cut


# --- what is ours stays -------------------------------------------------------------------------------------


def test_what_we_prepared_for_the_client_is_not_seen(replies: ModuleType) -> None:
    seen = play_all(
        replies,
        lambda r: [r.Deallocate(b"old"), r.Prepare(b"new"), r.BIND, r.EXECUTE, r.SYNC],
        msg.CLOSE_COMPLETE + msg.PARSE_COMPLETE + msg.BIND_COMPLETE + ROWS + SELECTED + IDLE,
    )
    assert seen.client == msg.BIND_COMPLETE + ROWS + SELECTED + IDLE
    assert seen.failed == []


def test_an_error_of_what_we_prepared_is_the_clients(replies: ModuleType) -> None:
    seen = play_all(
        replies,
        lambda r: [r.Deallocate(b"old"), r.Prepare(b"new"), r.BIND, r.EXECUTE, r.SYNC],
        msg.CLOSE_COMPLETE + ERROR + IDLE,
    )
    assert seen.client == ERROR + IDLE
    assert seen.failed == [b"new"]
    assert seen.error == ERROR[5:]


def test_everything_that_was_skipped_is_told(replies: ModuleType) -> None:
    seen = play_all(
        replies,
        lambda r: [
            r.BIND,
            r.Prepare(b"a"),
            r.Deallocate(b"b"),
            r.Learn(b"l"),
            r.EXECUTE,
            r.SYNC,
            r.Prepare(b"c"),
            r.SYNC,
        ],
        ERROR + IDLE + msg.PARSE_COMPLETE + IDLE,
    )
    assert seen.client == ERROR + IDLE + IDLE
    assert seen.failed == [b"a", b"b", b"l"]


def test_a_request_of_ours_leaves_nothing(replies: ModuleType) -> None:
    for data in (SET + COLUMNS + ROWS + SELECTED + IDLE, SET + NOTICE + ERROR + IDLE):
        seen = play_all(replies, lambda r: [r.QUERY | r.DROP], data)
        assert (seen.client, seen.readies, seen.owed) == (b"", "I", 0)


def test_settings_change_unseen_in_a_request_of_ours(replies: ModuleType) -> None:
    seen = play_all(replies, lambda r: [r.QUERY | r.DROP], SET + STATUS + IDLE)
    assert seen.client == b""
    assert seen.asides == [(ord("S"), STATUS[5:])]


def test_statements_that_open_the_block_leave_no_tag(replies: ModuleType) -> None:
    begin = msg.command_complete("BEGIN")
    seen = play_all(
        replies, lambda r: [r.QUERY | r.SKIP_TAG * 2], begin + SET + COLUMNS + ROWS + SELECTED + BLOCK
    )
    assert seen.client == COLUMNS + ROWS + SELECTED + BLOCK


def test_extended_statements_that_open_the_block_are_not_seen(replies: ModuleType) -> None:
    opening = msg.PARSE_COMPLETE + msg.BIND_COMPLETE + msg.command_complete("BEGIN")
    seen = play_all(
        replies,
        lambda r: [r.PARSE | r.DROP, r.BIND | r.DROP, r.EXECUTE | r.DROP, r.BIND, r.EXECUTE, r.SYNC],
        opening + msg.BIND_COMPLETE + SELECTED + BLOCK,
    )
    assert seen.client == msg.BIND_COMPLETE + SELECTED + BLOCK


def test_an_error_of_the_opening_is_the_clients(replies: ModuleType) -> None:
    seen = play_all(
        replies,
        lambda r: [r.PARSE | r.DROP, r.BIND | r.DROP, r.EXECUTE | r.DROP, r.BIND, r.EXECUTE, r.SYNC],
        msg.PARSE_COMPLETE + msg.BIND_COMPLETE + ERROR + IDLE,
    )
    assert seen.client == ERROR + IDLE


def test_no_ready_keeps_the_ready(replies: ModuleType) -> None:
    seen = play_all(replies, lambda r: [r.QUERY | r.NO_READY], COLUMNS + ROWS + SELECTED + IDLE)
    assert seen.client == COLUMNS + ROWS + SELECTED
    assert seen.readies == "I"


def test_rows_only(replies: ModuleType) -> None:
    seen = play_all(replies, lambda r: [r.QUERY | r.ROWS], COLUMNS + ROWS + SELECTED + IDLE)
    assert seen.client == ROWS
    assert (seen.description, seen.tag) == (COLUMNS[5:], SELECTED[5:])
    failed = play_all(replies, lambda r: [r.QUERY | r.ROWS], COLUMNS + ROW + ERROR + IDLE)
    assert failed.client == ROW
    assert failed.error == ERROR[5:]


def test_rows_only_extended(replies: ModuleType) -> None:
    seen = play_all(
        replies,
        lambda r: [r.Prepare(b"s"), r.BIND | r.ROWS, r.EXECUTE | r.ROWS, r.SYNC | r.ROWS],
        msg.PARSE_COMPLETE + msg.BIND_COMPLETE + ROWS + SELECTED + IDLE,
    )
    assert seen.client == ROWS
    assert seen.tag == SELECTED[5:]


# --- answers of our own -------------------------------------------------------------------------------------


def test_our_answers_come_at_their_place(replies: ModuleType) -> None:
    seen = play_all(
        replies,
        lambda r: [OURS, r.BIND, OURS, OURS, r.EXECUTE, OURS, r.SYNC],
        msg.BIND_COMPLETE + ROWS + SELECTED + IDLE,
    )
    assert seen.client == OURS + msg.BIND_COMPLETE + OURS + OURS + ROWS + SELECTED + OURS + IDLE


def test_our_answers_after_an_error_are_skipped(replies: ModuleType) -> None:
    seen = play_all(replies, lambda r: [r.BIND, OURS, r.EXECUTE, OURS, r.SYNC], ERROR + IDLE)
    assert seen.client == ERROR + IDLE


def test_an_answer_that_nothing_precedes_goes_out_at_once(replies: ModuleType) -> None:
    stream = replies.ReplyStream()
    stream.promise(OURS)
    assert stream.out == [OURS]
    assert not stream.owed


def test_an_error_we_provoked_is_seen_as_ours(replies: ModuleType) -> None:
    seen = play_all(
        replies,
        lambda r: [r.BIND, r.EXECUTE, r.FailWith(OURS), r.SYNC],
        msg.BIND_COMPLETE + SELECTED + ERROR + FAILED,
    )
    assert seen.client == msg.BIND_COMPLETE + SELECTED + OURS + FAILED


def test_an_error_before_the_one_we_provoked_is_the_servers(replies: ModuleType) -> None:
    seen = play_all(replies, lambda r: [r.BIND, r.FailWith(OURS), r.SYNC], ERROR + FAILED)
    assert seen.client == ERROR + FAILED


def test_what_a_statement_is_is_learned(replies: ModuleType) -> None:
    for row in (COLUMNS, msg.NO_DATA):
        seen = play_all(
            replies,
            lambda r: [r.Prepare(b"s"), r.Learn(), r.BIND, r.SYNC],
            msg.PARSE_COMPLETE + PARAMETERS + row + msg.BIND_COMPLETE + IDLE,
        )
        assert seen.learned == [(PARAMETERS[5:], row)]
        assert seen.client == msg.BIND_COMPLETE + IDLE


# --- statements of ours that a server has not, or not as they were ------------------------------------------

CHANGED = message(b"E", b"SERROR\0VERROR\0C0A000\0Mwhatever language\0RRevalidateCachedQuery\0\0")
GONE = message(b"E", b"SERROR\0VERROR\0C26000\0M" + b'"sp_0123456789abcdef01234567" does not exist\0\0')
GONE_FOR_CLIENTS = message(b"E", b'SERROR\0VERROR\0C26000\0M"" does not exist\0\0')


@pytest.mark.parametrize(("error", "stale"), [(CHANGED, CHANGED), (GONE, GONE_FOR_CLIENTS)])
def test_a_stale_statement_is_the_callers_to_speak_of(
    replies: ModuleType, error: bytes, stale: bytes
) -> None:
    seen = play_all(
        replies, lambda r: [r.CLOSE, r.BIND, r.DESCRIBE, r.EXECUTE, r.SYNC], msg.CLOSE_COMPLETE + error + IDLE
    )
    assert (seen.client, seen.readies, seen.owed) == (msg.CLOSE_COMPLETE, "I", 0)
    assert (seen.stale, seen.error) == (stale, error[5:])


@pytest.mark.parametrize(
    "owed",
    [
        lambda r: [r.EXECUTE, r.SYNC],
        lambda r: [r.BIND | r.ROWS, r.EXECUTE | r.ROWS, r.SYNC],
        lambda r: [r.BIND | r.DROP, r.EXECUTE | r.DROP, r.SYNC],
        lambda r: [r.QUERY],
        lambda r: [r.BIND, r.EXECUTE],
    ],
    ids=[
        "not at Bind",
        "rows of several shards",
        "a statement of ours",
        "a simple query",
        "Sync comes later",
    ],
)
def test_a_stale_statement_is_an_error_as_others_elsewhere(
    replies: ModuleType, owed: Callable[[ModuleType], list[Any]]
) -> None:
    kept, changed = (play_all(replies, owed, error) for error in (ERROR, CHANGED))
    assert changed.client == kept.client.replace(ERROR, CHANGED)
    assert changed.stale is None


@pytest.mark.parametrize(
    "rest", [msg.BIND_COMPLETE + COLUMNS + ROWS + SELECTED, msg.BIND_COMPLETE + ERROR, ERROR]
)
def test_nothing_is_handed_on_of_what_the_client_was_told_otherwise(replies: ModuleType, rest: bytes) -> None:
    told = msg.shape_of(PARAMETERS[5:], COLUMNS)
    for shape, client, stale in ((told, rest + IDLE, None), (b"another", b"", b"")):
        seen = play_all(
            replies,
            lambda r, shape=shape: [  # type: ignore[misc]
                *(r.EXECUTE | r.DROP, r.Prepare(b"s"), r.Learn(b"s", None, shape)),
                *(r.BIND, r.DESCRIBE, r.EXECUTE, r.SYNC),
            ],
            SET + msg.PARSE_COMPLETE + PARAMETERS + COLUMNS + rest + IDLE,
        )
        assert (seen.client, seen.stale, seen.readies, seen.owed) == (client, stale, "I", 0)
        assert seen.learned == [(PARAMETERS[5:], COLUMNS)]


# --- statements that ended well -----------------------------------------------------------------------------


def test_statements_of_the_client_are_counted(replies: ModuleType) -> None:
    begin = msg.command_complete("BEGIN")
    for owed, data, completed in (
        ([replies.QUERY | replies.SKIP_TAG], begin + SET + COLUMNS + ROWS + SELECTED + ERROR + IDLE, 2),
        ([replies.QUERY], msg.EMPTY_QUERY + IDLE, 1),
        ([replies.QUERY | replies.DROP], ERROR + IDLE, 0),
        (
            [replies.EXECUTE | replies.DROP, replies.EXECUTE, replies.EXECUTE, replies.SYNC],
            SET + ROW + msg.PORTAL_SUSPENDED + ERROR + IDLE,
            1,
        ),
    ):
        stream = replies.ReplyStream()
        for item in owed:
            stream.promise(item)
        play(stream, [data])
        assert stream.completed == completed


def test_what_follows_the_clients_statements_is_ours(replies: ModuleType) -> None:
    ours = SET + COLUMNS + ROWS + SELECTED + SET
    for chunks in ([SET + SET + ours + IDLE], *splits(SET + SET + ours + IDLE)):
        stream = replies.ReplyStream()
        stream.tags = 2
        stream.promise(replies.QUERY)
        assert play(stream, chunks).client == SET + SET + IDLE


def test_our_names_of_statements_are_not_seen(replies: ModuleType) -> None:
    ours = (
        'bind message supplies 1 parameters, but prepared statement "sp_0123456789abcdef01234567" requires 2'
    )
    error = msg.error_response(ShardproxyError(ours, sqlstate="08P01"))
    seen = play_all(replies, lambda r: [r.BIND, r.SYNC], error + IDLE)
    told = msg.parse_error(seen.client[5:])["M"]
    assert told == 'bind message supplies 1 parameters, but prepared statement "" requires 2'


# --- positions of errors ------------------------------------------------------------------------------------


def test_positions_are_those_of_the_clients_text(replies: ModuleType) -> None:
    for prefix, position in ((6, "6"), (0, "12"), (-1, None)):
        seen = play_all(replies, lambda r: [r.QUERY | r.SKIP_TAG], SET + ERROR + IDLE, prefix)
        body = seen.client[5 : len(seen.client) - len(IDLE)]
        assert msg.parse_error(body).get("P") == position
        assert transcript.of(seen.client)[-1] == "ReadyForQuery I"


# --- what may come at any time ------------------------------------------------------------------------------


def test_asides_while_nothing_is_owed(replies: ModuleType) -> None:
    seen = play_all(replies, lambda r: [], STATUS + NOTICE + NOTIFICATION + ERROR)
    assert seen.client == b""
    assert seen.asides == [
        (ord("S"), STATUS[5:]),
        (ord("N"), NOTICE),
        (ord("A"), NOTIFICATION),
        (ord("E"), ERROR[5:]),
    ]


def test_a_notification_during_a_request_of_ours_is_not_lost(replies: ModuleType) -> None:
    for ours in (replies.QUERY | replies.DROP, replies.Learn()):
        seen = play_all(replies, lambda r, ours=ours: [ours], NOTICE + NOTIFICATION)
        assert seen.client == b""
        assert seen.asides == [(ord("A"), NOTIFICATION)]


def test_after_an_error_without_sync_the_server_owes_nothing_until_sync(replies: ModuleType) -> None:
    stream = replies.ReplyStream()
    stream.promise(replies.BIND)
    assert play(stream, [ERROR]).client == ERROR
    assert stream.skipping
    stream.promise(replies.EXECUTE)
    stream.promise(OURS)
    stream.promise(replies.Prepare(b"s"))
    assert play(stream, []) == Seen(failed=[b"s"], error=ERROR[5:])
    stream.promise(replies.SYNC)
    assert not stream.skipping
    seen = play(stream, [IDLE])
    assert (seen.client, seen.readies, seen.owed) == (IDLE, "I", 0)


# --- rows in pieces -----------------------------------------------------------------------------------------


def big_row(size: int) -> bytes:
    return msg.data_row(["y" * size])


def test_a_long_row_is_handed_on_by_the_piece(replies: ModuleType) -> None:
    stream = replies.ReplyStream()
    stream.promise(replies.QUERY)
    row = big_row(3 << 20)
    data = COLUMNS + row + SELECTED + IDLE
    sent = b""
    for at in range(0, len(data), 65536):
        chunk = data[at : at + 65536]
        assert stream.feed(chunk) == len(chunk)
        assert sum(map(len, stream.out)) >= len(chunk) - 40  # nothing but an unfinished small message waits
        sent += b"".join(stream.out)
        stream.out = []
        done = at + len(chunk) >= len(COLUMNS + row)
        assert stream.mid_message is not done
    assert sent == data


def test_a_long_row_of_ours_is_dropped_by_the_piece(replies: ModuleType) -> None:
    stream = replies.ReplyStream()
    stream.promise(replies.QUERY | replies.DROP)
    data = COLUMNS + big_row(200_000) + SELECTED + IDLE
    for at in range(0, len(data), 1000):
        stream.feed(data[at : at + 1000])
        assert not stream.out
        assert not stream.mid_message
    assert stream.ready == msg.READY_IDLE


def test_only_rows_and_copy_data_may_be_long(replies: ModuleType) -> None:
    for kind in b"TCENSAtZ":
        stream = replies.ReplyStream()
        stream.promise(replies.QUERY)
        with pytest.raises(ProtocolViolation, match="too long"):
            stream.feed(struct.pack("!Bi", kind, replies.LIMIT + 1))
    copying = replies.ReplyStream()
    copying.promise(replies.QUERY)
    copying.feed(COPY_OUT + struct.pack("!Bi", ord("d"), 2**31 - 1) + b"x")
    assert copying.mid_message
