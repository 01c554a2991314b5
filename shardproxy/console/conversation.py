"""One client of the console: the simple protocol, one statement at a time, and an error for all else."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from shardproxy.console.table import Answer
from shardproxy.errors import ProtocolViolation, Refused, ShardproxyError
from shardproxy.frontend.virtual import Peer
from shardproxy.wire.client_messages import parse_query
from shardproxy.wire.server_messages import (
    EMPTY_QUERY,
    READY_IDLE,
    command_complete,
    error_response,
    notice_response,
    ready_for_query,
)

log = logging.getLogger(__name__)

QUERY: Final = 0x51
SYNC: Final = 0x53
TERMINATE: Final = 0x58
EXTENDED: Final = frozenset(b"PBDECH")
COPY: Final = frozenset(b"dcf")
MOST_WAITING: Final = 100
"""Statements that may wait for the one that runs."""

Answerer = Callable[[str], Awaitable[Answer | None]]
"""Answers a statement, None for an empty one. Raises ShardproxyError."""


class Talk:
    """See the module. Mutable: ``_waiting``, statements to come, None for a Sync; ``_task``, what answers
    them; ``_skipping``: after an error in the extended protocol nothing counts before Sync; ``_closed``.
    """

    def __init__(self, peer: Peer, answer: Answerer, on_closed: Callable[[], None]) -> None:
        self._peer = peer
        self._answer = answer
        self._on_closed = on_closed
        self._waiting: deque[bytes | None] = deque()
        self._task: asyncio.Task[None] | None = None
        self._running: asyncio.Task[Answer | None] | None = None
        self._skipping = False
        self._closed = False

    def receive(self, messages: list[tuple[int, bytes]]) -> None:
        """Take messages. Raises ProtocolViolation."""
        for kind, body in messages:
            if self._closed or kind in COPY:
                continue
            if kind == TERMINATE:
                self._peer.close()
            elif kind == QUERY:
                self._waiting.append(parse_query(body))
            elif kind == SYNC:
                self._skipping = False
                self._waiting.append(None)
            elif kind in EXTENDED:
                self._refuse_extended()
            else:
                raise ProtocolViolation(f"invalid frontend message type {kind}")
            if len(self._waiting) > MOST_WAITING:
                raise ProtocolViolation("too many statements wait")
        if self._waiting and self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="console")

    def close(self) -> None:
        """End what runs."""
        if not self._closed:
            self._closed = True
            if self._task is not None:
                self._task.cancel()
            self._on_closed()

    async def cancel(self) -> bool:
        """Cancel the statement that runs."""
        return self._running is not None and self._running.cancel()

    def _refuse_extended(self) -> None:
        if not self._skipping:
            self._skipping = True
            error = Refused(
                "the extended query protocol on the console",
                hint="Send it as a simple query: in psql, or with asyncpg's execute() without arguments.",
            )
            self._peer.write(error_response(error))

    async def _work(self) -> None:
        try:
            while self._waiting and not self._closed:
                text = self._waiting.popleft()
                if text is not None:
                    self._peer.write(await self._reply(text))
                self._peer.write(ready_for_query(READY_IDLE))
        finally:
            self._task = None

    async def _reply(self, text: bytes) -> bytes:
        """Everything that answers one statement but ReadyForQuery."""
        try:
            answer = await self._run(text.decode())
        except UnicodeDecodeError:
            error = ShardproxyError('invalid byte sequence for encoding "UTF8"', sqlstate="22021")
            return error_response(error)
        except ShardproxyError as error:
            return error_response(error)
        except Exception:
            log.exception("internal error on the console")
            return error_response(ShardproxyError("internal error in shardproxy; its log says more"))
        if answer is None:
            return EMPTY_QUERY
        notices = (notice_response("NOTICE", "00000", notice) for notice in answer.notices)
        return b"".join((*notices, *answer.messages(), command_complete(answer.tag)))

    async def _run(self, text: str) -> Answer | None:
        """As a task of its own, which a cancel request ends. Raises ShardproxyError."""
        running = self._running = asyncio.ensure_future(self._answer(text))
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError:
            running.cancel()
            raise
        finally:
            self._running = None
        if running.cancelled():
            raise ShardproxyError("canceling statement due to user request", sqlstate="57014")
        return running.result()
