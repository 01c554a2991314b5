# cython: annotation_typing=False
"""The queue of replies a server owes us, and the scanner that pays it off while bytes pass through. A
compiled leaf; no I/O.

For every message sent to a server, what must come back is queued in :class:`ReplyStream.owed`. Incoming
bytes are matched against the head of the queue (manual, "Message Flow"): runs of messages that belong to
the client are handed on as slices, without an object per message; replies to what we added ourselves are
taken out; answers that we give ourselves are put in at their place. After an error in the extended
protocol the server skips everything up to Sync, and so does the queue. A message that nothing in the queue
explains is a protocol violation by the server.

The state machine is the queue; there are no counters. C types are in ``replies.pxd``.
"""

from collections import deque
from collections.abc import Callable

from shardproxy.errors import Blame, ProtocolViolation
from shardproxy.wire.server_messages import (
    OUR_NAME,
    is_stale,
    parse_error,
    shape_of,
    shift_error_position,
    without_position,
    without_statement_name,
)

# What a server owes: one of these, with flags, or a Prepare, Deallocate, Learn, FailWith or bytes.
PARSE = 1  # ParseComplete
BIND = 2  # BindComplete
CLOSE = 3  # CloseComplete
DESCRIBE_STATEMENT = 4  # ParameterDescription, then RowDescription or NoData
DESCRIBE = 5  # RowDescription or NoData
EXECUTE = 6  # rows or COPY data, then CommandComplete, EmptyQueryResponse or PortalSuspended
SYNC = 7  # ReadyForQuery
QUERY = 8  # everything a simple Query brings, up to ReadyForQuery
KIND = 15

DROP = 16  # flag: the client did not ask for it and does not see it
NO_READY = 32  # flag for QUERY and SYNC: everything is handed on but ReadyForQuery
ROWS = 64  # flag: only DataRow is handed on; description, tag and error are kept in attributes
SKIP_TAG = 256  # times n, for QUERY: the first n CommandCompletes are ours

LIMIT = 1 << 20
"""Bytes of one message that we look into; only rows and COPY data may be longer."""


class Prepare:
    """Owed: ParseComplete of a statement that we prepared under ``name``."""

    def __init__(self, name: bytes) -> None:
        self.name = name


class Deallocate:
    """Owed: CloseComplete of a statement of ours, ``name``."""

    def __init__(self, name: bytes) -> None:
        self.name = name


class Learn:
    """Owed: ParameterDescription, then RowDescription or NoData, of a statement of ours, ``name``, for us to
    keep.

    ``parameters`` is a body, ``row`` a whole message; both are set when the stream's ``learned`` holds the
    object. ``wake`` is for the caller: to be called then, or when the statement failed. ``told`` is the shape
    (:func:`server_messages.shape_of`) without which the client may see nothing of what is owed up to Sync.
    """

    def __init__(
        self, name: bytes = b"", wake: Callable[[], None] | None = None, told: bytes | None = None
    ) -> None:
        self.name = name
        self.wake = wake
        self.told = told
        self.parameters: bytes | None = None
        self.row: bytes | None = None


class FailWith:
    """Owed: an error that we provoked, so that the server's transaction fails; the client sees ``reply``
    instead.
    """

    def __init__(self, reply: bytes) -> None:
        self.reply = reply


class ReplyStream:
    """Matches a server's bytes against what it owes.

    After :meth:`feed`, ``out`` holds what goes to the client, ``ready`` the status byte when a
    ReadyForQuery was consumed (else 0), and the lists and fields below what else happened. The caller
    empties them. ``prefix`` is the number of characters that we put before a client's statement: positions
    in errors are moved back by it; -1 removes them. ``completed`` counts the statements of the client that
    have ended well; the caller resets it. ``tags``: in a simple query, what comes after so many
    statements is ours; -1: nothing is. ``stale`` is an ErrorResponse that the client has not seen: Bind found
    a statement of ours gone or changed (:func:`server_messages.is_stale`), and nothing was done; it is empty
    where a ``Learn`` was not what the client was told. Its ReadyForQuery is not handed on either, and what
    becomes of the client is the caller's to say.
    """

    def __init__(self) -> None:
        self.owed: deque[object] = deque()
        self.out: list[bytes] = []
        self.ready = 0
        self.error: bytes | None = None  # body of the newest ErrorResponse
        self.failed: list[object] = []  # Prepare, Deallocate and Learn that the server skipped or refused
        self.learned: list[Learn] = []
        self.skipping = False  # after an error, until Sync: the server reads and answers nothing
        self.prefix = 0
        self.completed = 0
        self.tags = -1
        self.asides: list[tuple[int, bytes]] = []  # ParameterStatus, and notifications while nothing is owed
        self.copy_in = False  # the server waits for COPY data
        self.description: bytes | None = None  # with ROWS: body of RowDescription
        self.tag: bytes | None = None  # with ROWS: body of CommandComplete
        self.stale: bytes | None = None
        self._pending = b""
        self._wanted = 0
        self._skip = 0
        self._skip_drops = False
        self._substitute: bytes | None = None  # handed on in place of an error that we provoked

    @property
    def mid_message(self) -> bool:
        """Part of a message has been handed on and its rest has not come: nothing else may be written to
        the client.
        """
        return self._skip > 0 and not self._skip_drops

    def promise(self, item: object) -> None:
        """Queue what the next message to the server will bring; an answer of our own goes out at once if
        it is first.
        """
        if self.skipping:
            if not (isinstance(item, int) and item & KIND == SYNC):
                if isinstance(item, (Prepare, Deallocate, Learn)):
                    self.failed.append(item)
                return
            self.skipping = False
        if isinstance(item, bytes) and not self.owed:
            self.out.append(item)
        else:
            self.owed.append(item)

    def feed(self, data: bytes, start: int = 0) -> int:
        """Consume ``data`` from ``start`` up to its end, or to the end of the next ReadyForQuery that is
        owed.

        Returns the offset behind what was consumed; it counts in the ``data`` that was passed.
        """
        self.ready = 0
        shift = 0
        if self._pending:
            shift = len(self._pending)
            if shift + len(data) - start < self._wanted:
                self._pending += data[start:]
                return len(data)
            data = self._pending + data[start:]
            shift -= start
            start = 0
            self._pending = b""
        return self._scan(data, start) - shift

    def _scan(self, data: bytes, start: int) -> int:
        view = data
        size = len(data)
        at = start
        run = start  # first byte of what is handed on together
        if self._skip:
            step = min(self._skip, size - at)
            self._skip -= step
            at += step
            if self._skip_drops:
                run = at
        while at < size:
            if size - at < 5:
                self._hold(data, run, at, 5)
                return size
            kind = view[at]
            length = view[at + 1]
            length = (length << 8) | view[at + 2]
            length = (length << 8) | view[at + 3]
            length = (length << 8) | view[at + 4]
            if length < 4 or length > 0x7FFFFFFF:
                raise violation("invalid message length from the server")
            end = at + 1 + length
            if kind == 0x44 or kind == 0x64:  # DataRow, CopyData: passed on by the piece
                drops = self._passes_row()
                if drops:
                    self._flush(data, run, at)
                    run = end
                if end > size:
                    self._skip = end - size
                    self._skip_drops = drops
                    if not drops:
                        self._flush(data, run, size)
                    return size
                at = end
                continue
            if end > size:
                if length > LIMIT:
                    raise violation("message from the server is too long")
                self._hold(data, run, at, length + 1)
                return size
            if not self._pay(kind, data, at, end, run):
                run = end
            at = end
            if self.owed and isinstance(self.owed[0], bytes):
                self._flush(data, run, at)
                run = at
                self._answer()
            if self.ready:
                self._flush(data, run, at)
                return at
        self._flush(data, run, size)
        return size

    def _hold(self, data: bytes, run: int, at: int, wanted: int) -> None:
        self._flush(data, run, at)
        self._pending = data[at:]
        self._wanted = wanted

    def _flush(self, data: bytes, run: int, end: int) -> None:
        if end > run:
            self.out.append(data if run == 0 and end == len(data) else data[run:end])

    def _answer(self) -> None:
        owed = self.owed
        while owed:
            head = owed[0]
            if not isinstance(head, bytes):
                break
            self.out.append(head)
            owed.popleft()

    def _passes_row(self) -> bool:
        """Whether a row is dropped; it must belong to something that returns rows."""
        if not self.owed:
            raise violation("row from a server that owes nothing")
        head = self.owed[0]
        if not isinstance(head, int):
            raise violation("unexpected row from the server")
        code = head & KIND
        if code != QUERY and code != EXECUTE:
            raise violation("unexpected row from the server")
        return (head & DROP) != 0 or (self.tags >= 0 and self.completed >= self.tags)

    def _pay(self, kind: int, data: bytes, at: int, end: int, run: int) -> bool:
        """Match one whole message with the queue. True: it is part of the run that is handed on."""
        passes = self._match(kind, data, at, end)
        if not passes:
            self._flush(data, run, at)
            if self._substitute is not None:
                self.out.append(self._substitute)
                self._substitute = None
        return passes

    def _match(self, kind: int, data: bytes, at: int, end: int) -> bool:
        owed = self.owed
        if kind == 0x53:  # ParameterStatus
            self.asides.append((kind, data[at + 5 : end]))
            return bool(owed) and isinstance(owed[0], int) and not owed[0] & (DROP | ROWS)
        if kind == 0x4E or kind == 0x41:  # NoticeResponse, NotificationResponse
            if not owed:
                self.asides.append((kind, data[at:end]))
                return False
            if not (isinstance(owed[0], Learn) or (isinstance(owed[0], int) and owed[0] & DROP)):
                return True
            if kind == 0x41:  # whoever listens is told, whatever is going on
                self.asides.append((kind, data[at:end]))
            return False
        if kind == 0x45:  # ErrorResponse
            return self._fail(data, at, end)
        if not owed:
            raise violation(f"unexpected message {chr(kind)!r} from a server that owes nothing")
        head = owed[0]
        if isinstance(head, Prepare):
            expect(kind, 0x31)
            owed.popleft()
            return False
        if isinstance(head, Deallocate):
            expect(kind, 0x33)
            owed.popleft()
            return False
        if isinstance(head, Learn):
            self._learn(head, kind, data[at:end])
            return False
        if not isinstance(head, int):
            raise violation(f"unexpected message {chr(kind)!r} from the server")
        return self._match_code(kind, head, data, at, end)

    def _learn(self, head: Learn, kind: int, message: bytes) -> None:
        if head.parameters is None:
            expect(kind, 0x74)
            head.parameters = message[5:]
        else:
            self._expect_description(kind)
            head.row = message
            self.learned.append(head)
            if head.told is not None and shape_of(head.parameters, message) != head.told:
                self._hush()

    def _hush(self) -> None:
        """Nothing of what is owed up to Sync is for the client, which was told otherwise."""
        self.stale = b""
        owed = self.owed
        for i in range(len(owed)):
            item = owed[i]
            if isinstance(item, bytes):
                owed[i] = b""
            elif isinstance(item, int):
                owed[i] = item | DROP
                if item & KIND == SYNC:
                    break

    def _match_code(self, kind: int, head: int, data: bytes, at: int, end: int) -> bool:
        owed = self.owed
        code = head & KIND
        if head & ROWS:
            if kind == 0x54:
                self.description = data[at + 5 : end]
            elif kind == 0x43:
                self.tag = data[at + 5 : end]
        if kind == 0x5A:  # ReadyForQuery
            if code != SYNC and code != QUERY:
                raise violation("ReadyForQuery while other replies are owed")
            if end - at != 6 or data[at + 5] not in b"ITE":
                raise violation("invalid ReadyForQuery from the server")
            owed.popleft()
            self.ready = data[at + 5]
            return not head & (DROP | NO_READY | ROWS)
        if code == EXECUTE:
            if (
                kind == 0x43 or kind == 0x49 or kind == 0x73
            ):  # CommandComplete, EmptyQueryResponse, PortalSuspended
                owed.popleft()
                if not head & DROP:
                    self.completed += 1
            elif kind == 0x47:  # CopyInResponse
                self.copy_in = True
            elif kind != 0x48 and kind != 0x63:  # CopyOutResponse, CopyDone
                raise violation(f"unexpected message {chr(kind)!r} from the server while rows are owed")
        elif code == QUERY:
            if kind == 0x47:
                self.copy_in = True
            elif kind == 0x43 and head >= SKIP_TAG:
                owed[0] = head - SKIP_TAG
                return False
            elif kind == 0x43 or kind == 0x49:
                ours = self.tags >= 0 and self.completed >= self.tags
                self.completed += 1
                if ours:
                    return False
            elif kind == 0x54:
                if self.tags >= 0 and self.completed >= self.tags:
                    return False
            elif kind != 0x48 and kind != 0x63:  # CopyOutResponse, CopyDone
                raise violation(f"unexpected message {chr(kind)!r} from the server during a query")
        elif code == DESCRIBE_STATEMENT:
            if kind == 0x74:  # ParameterDescription; RowDescription or NoData follows
                return not head & (DROP | ROWS)
            self._expect_description(kind)
        elif code == DESCRIBE:
            self._expect_description(kind)
        else:
            expect(kind, COMPLETIONS.get(code, 0))
            owed.popleft()
        return not head & (DROP | ROWS)

    def _expect_description(self, kind: int) -> None:
        if kind != 0x54 and kind != 0x6E:  # RowDescription, NoData
            raise violation(f"unexpected message {chr(kind)!r} from the server instead of a description")
        self.owed.popleft()

    def _fail(self, data: bytes, at: int, end: int) -> bool:
        """An ErrorResponse: in a simple query its ReadyForQuery follows; else everything up to Sync is
        skipped.

        An error of what we added before a client's statement is the client's error; that of a request of
        our own (QUERY with DROP) is not. What ends the server connection is told with its end.
        """
        owed = self.owed
        self.error = data[at + 5 : end]
        if not owed or is_fatal(self.error):
            self.asides.append((0x45, self.error))
            return False
        head = owed[0]
        passes = not (
            isinstance(head, int) and (head & ROWS or (head & DROP and head & KIND in (SYNC, QUERY)))
        )
        if isinstance(head, FailWith):
            self._substitute = head.reply
            passes = False
        elif passes and (self.prefix or OUR_NAME in self.error):
            message = data[at:end]
            if self.prefix:
                shifted = self.prefix > 0
                message = (
                    shift_error_position(message, -self.prefix) if shifted else without_position(message)
                )
            self._substitute = without_statement_name(message)
            passes = False
        if self.stale is not None:  # the client hears of something else
            self._substitute = None
            passes = False
        at_bind = isinstance(head, int) and head == BIND
        self._skip_to_sync()
        if at_bind and owed and isinstance(owed[0], int) and is_stale(self.error):
            self.stale = self._substitute or data[at:end]
            self._substitute = None
            passes = False
            owed[0] |= DROP
        return passes

    def _skip_to_sync(self) -> None:
        owed = self.owed
        while owed:
            head = owed[0]
            if isinstance(head, int) and head & KIND in (SYNC, QUERY):
                break
            if isinstance(head, (Prepare, Deallocate, Learn)):
                self.failed.append(head)
            owed.popleft()
        self.skipping = not owed


COMPLETIONS = {PARSE: 0x31, BIND: 0x32, CLOSE: 0x33}


def expect(kind: int, wanted: int) -> None:
    """Raise a violation unless the message is the one that is owed."""
    if kind != wanted:
        raise violation(f"unexpected message {chr(kind)!r} from the server, {chr(wanted)!r} was owed")


def is_fatal(body: bytes) -> bool:
    """Whether the server closes the connection after this ErrorResponse."""
    return parse_error(body).get("V") in ("FATAL", "PANIC")


def violation(message: str) -> ProtocolViolation:
    """A protocol violation by a server: the connection to it is closed."""
    error = ProtocolViolation(message)
    error.blame = Blame.SERVER
    return error
