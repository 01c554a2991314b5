"""A program in a terminal, typed at and read as a person does."""

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

TIMEOUT = 10.0
ROWS_AND_COLUMNS = (50, 200)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


class Terminal:
    """``command`` in a pseudo-terminal of its own, without ``echo`` of what is typed.

    ``unread`` is what the program wrote and no :meth:`expect` has taken yet, without control sequences.
    """

    def __init__(self, command: Sequence[str], env: Mapping[str, str], *, echo: bool = False) -> None:
        self.unread = ""
        self._master, self._slave = pty.openpty()
        slave = self._slave
        termios.tcsetwinsize(slave, ROWS_AND_COLUMNS)
        if not echo:
            attributes = termios.tcgetattr(slave)
            attributes[3] &= ~termios.ECHO
            termios.tcsetattr(slave, termios.TCSANOW, attributes)
        # A terminal that a session's leader opens becomes the session's, so that Ctrl-C reaches it.
        opened = ["/bin/sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave), *command]
        self.process = subprocess.Popen(
            opened, stdin=subprocess.DEVNULL, env=dict(env), start_new_session=True
        )

    def send(self, text: str) -> None:
        """Type ``text``: "\\n" is Enter, "\\x03" is Ctrl-C."""
        os.write(self._master, text.encode())

    def expect(self, pattern: str, timeout: float = TIMEOUT) -> str:
        """Wait until the program has written ``pattern``; returns what it wrote before that."""
        deadline = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.unread)
            if match is not None:
                before, self.unread = self.unread[: match.start()], self.unread[match.end() :]
                return before
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{pattern!r} did not appear; unread: {self.unread!r}")

    def _read(self, timeout: float) -> bool:
        if timeout <= 0 or not select.select([self._master], [], [], timeout)[0]:
            return False
        self.unread += CONTROL.sub("", os.read(self._master, 65536).decode(errors="replace"))
        return True

    def close(self) -> None:
        """Hang up, and wait for the end of the program."""
        os.close(self._slave)
        os.close(self._master)
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
