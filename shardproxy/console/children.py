"""The processes that drive moves for the console: the command line, started by the sidecar and not in its
event loop.

A statement waits until its child has a move's number, or has ended. A sidecar that stops ends its children,
which stop cleanly; what drove the moves is in the journal, and they can be resumed.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from shardproxy.errors import ShardproxyError, Unavailable

log = logging.getLogger(__name__)

MOST: Final = 4
FAREWELL: Final = 8.0
"""Seconds that children have for stopping cleanly."""

MOST_OUTPUT: Final = 1 << 20
"""Bytes of a child's result, and of a line of its progress."""

Moved = tuple[int, str]
"""A move's number and its state."""


class Child:
    """One process. Mutable: ``number``, of the move it drives, None before it has one; ``_step``, the newest
    that was logged; ``_words``, what it last said that is no progress.
    """

    def __init__(self, process: asyncio.subprocess.Process, what: str, state: str) -> None:
        self.number: int | None = None
        self._process = process
        self._what = what
        self._state = state
        self._step = ""
        self._words = ""
        self._known: asyncio.Future[list[Moved]] = asyncio.get_running_loop().create_future()
        self._known.add_done_callback(lambda known: known.exception())  # nobody may be left to hear of it
        self._owner = asyncio.create_task(self._attend(), name=f"console: {what}")

    async def known(self) -> list[Moved]:
        """The move, as soon as it has a number, or what came of it if it has ended before.

        Raises ShardproxyError for what the child says. A caller that is cancelled ends the child.
        """
        try:
            return await asyncio.shield(self._known)
        except asyncio.CancelledError:
            if not self._known.done():
                self.stop()
            raise

    def stop(self) -> None:
        """Tell it to stop, which leaves its move as it is."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def on_end(self, callback: Callable[[], object]) -> None:
        """Have it called when the process has ended."""
        self._owner.add_done_callback(lambda _: callback())

    async def ended(self) -> None:
        """Return when it has ended."""
        await asyncio.shield(self._owner)

    async def end(self) -> None:
        """End it, cleanly if that can be had in FAREWELL seconds."""
        self.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self.ended()
                return
        with suppress(ProcessLookupError):
            self._process.kill()
        await self.ended()

    async def _attend(self) -> None:
        process = self._process
        assert process.stdout is not None
        result, _ = await asyncio.gather(process.stdout.read(MOST_OUTPUT), self._follow())
        status = await process.wait()
        try:
            moved = self._read_result(result, status)
        except ShardproxyError as error:
            log.warning("! %s: %s", self._what, error.message)
            if not self._known.done():
                self._known.set_exception(error)
        else:
            log.info("= %s: %s", self._what, ", ".join(f"{state}" for _, state in moved) or "nothing to do")
            if not self._known.done():
                self._known.set_result(moved)

    async def _follow(self) -> None:
        """Read its progress, a line of JSON each time."""
        assert self._process.stderr is not None
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:  # a line beyond all measure
                continue
            if not line:
                return
            try:
                progress = json.loads(line)
            except ValueError:
                self._words = line.decode("utf-8", "replace").strip()[:500] or self._words
                continue
            self._note(progress)

    def _note(self, progress: Any) -> None:
        number = progress.get("move") if isinstance(progress, dict) else None
        if not isinstance(number, int):
            return
        self.number = number
        if not self._known.done():
            self._known.set_result([(number, self._state)])
        if progress.get("begins") and progress.get("step") != self._step:
            self._step = progress["step"]
            log.info("= move %d: %s", number, progress.get("what"))

    def _read_result(self, result: bytes, status: int) -> list[Moved]:
        """What the command says at its end. Raises ShardproxyError where that is an error."""
        try:
            said = json.loads(result)
        except ValueError:
            raise Unavailable(
                f"{self._what} ended with status {status}", sqlstate="58000", detail=self._words or None
            ) from None
        if status != 0 or not said.get("ok"):
            raise _error(said, self._what)
        return [(move["move"], move["state"]) for move in said["moves"]]


def _error(said: Any, what: str) -> ShardproxyError:
    obstacles = said.get("obstacles") or []
    detail = "\n".join(f"- {each['what']}: {each['remedy']}" for each in obstacles) or said.get("detail")
    return ShardproxyError(
        said.get("error") or f"{what} failed",
        sqlstate=said.get("sqlstate") or None,
        detail=detail,
        hint=said.get("hint"),
    )


class Children:
    """All of a sidecar's; ``most`` at a time. Mutable: ``_running``; ``_starting``, how many are about to."""

    def __init__(self, config: Path, most: int = MOST) -> None:
        self._config = config.absolute()
        self._most = most
        self._running: set[Child] = set()
        self._starting = 0

    def of(self, number: int) -> Child | None:
        """The one that drives the move of that number."""
        return next((child for child in self._running if child.number == number), None)

    async def start(self, what: str, arguments: Sequence[str], operands: Sequence[str], state: str) -> Child:
        """Start the command; ``what`` names it for people, and ``state`` is its move's while it runs.

        ``operands`` may be any text. Raises Unavailable where too many run.
        """
        if len(self._running) + self._starting >= self._most:
            raise Unavailable(
                f"this sidecar drives {self._most} moves already",
                sqlstate="53300",
                hint="Wait until one has ended, or use another sidecar.",
            )
        options = ("--progress", "json", "--json", "-c", str(self._config))
        self._starting += 1
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "shardproxy", *arguments, *options, "--", *operands),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MOST_OUTPUT,
            )
        finally:
            self._starting -= 1
        child = Child(process, what, state)
        self._running.add(child)
        child.on_end(lambda: self._running.discard(child))
        return child

    async def end(self) -> None:
        """End all of them."""
        await asyncio.gather(*(child.end() for child in tuple(self._running)))
