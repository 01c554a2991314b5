"""psql in a pipe, and psql in a terminal with somebody typing at it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.terminal import Terminal

ENVIRONMENT = {
    "PSQLRC": "/dev/null",
    "PAGER": "cat",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "HISTFILE": "/dev/null",
}
PROMPT = r"\[([^][]*)\]> "
TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Psql:
    """One psql program."""

    path: Path

    def run(self, dsn: str, script: str, *options: str) -> str:
        """Everything it prints, errors where they happen, for ``script`` on its standard input."""
        done = self.start(dsn, *options, script=script)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start(self, dsn: str, *options: str, script: str = "") -> "subprocess.CompletedProcess[str]":
        """Run it to its end, however it ends."""
        return subprocess.run(
            [str(self.path), "-X", dsn, *options],
            input=script,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env=_environment(),
            timeout=TIMEOUT,
        )


class Person(Terminal):
    """psql in a terminal, whose prompt is ``[%R%x]> ``: ``[=]`` outside a block, ``[=*]`` in one, ``[=!]`` in
    a failed one.

    ``state`` is what stood in the brackets of the last prompt. ``greeted``: wait for the first prompt.
    """

    def __init__(self, program: Path, dsn: str, *, greeted: bool = True, readline: bool = False) -> None:
        prompts = [f"--variable=PROMPT{number}=[%R%x]> " for number in (1, 2, 3)]
        command = [str(program), "-X", *prompts, *([] if readline else ["-n"]), dsn]
        super().__init__(command, _environment(), echo=readline)
        self.state = ""
        if greeted:
            self.answer()

    def answer(self) -> str:
        """What is printed up to the next prompt."""
        text = self.expect(r"(?=\[[^][]{1,3}\]> )")
        prompt = self.unread[: self.unread.index("> ")]
        self.expect(PROMPT)
        self.state = prompt.strip("[]")
        return text

    def enter(self, line: str) -> str:
        """Type a line; what is printed up to the next prompt."""
        self.send(line + "\n")
        return self.answer()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | ENVIRONMENT
