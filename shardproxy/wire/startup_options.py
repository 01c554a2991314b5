"""The ``options`` startup parameter: command-line switches that name session settings.

Only ``-c name=value``, ``-cname=value`` and ``--name=value`` are accepted. PostgreSQL takes the other
switches of the server program too (``-W 60`` sleeps for a minute); nothing but its own tests sends them.
"""

import re

from shardproxy.errors import LoginFailed

_WORD = re.compile(r"(?:\\.|\\\Z|[^\s\\])+", re.DOTALL | re.ASCII)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def split_options(options: str) -> list[str]:
    """The words of ``options``: separated by white space, ``\\`` takes the next character as it is."""
    return [_ESCAPE.sub(r"\1", word) for word in _WORD.findall(options)]


def parse_options(options: str) -> dict[str, str]:
    """The settings named by ``options``, lower-cased, the last of equal names winning; LoginFailed (42601) as
    PostgreSQL words it for anything else."""
    settings: dict[str, str] = {}
    words = iter(split_options(options))
    for word in words:
        if word == "-c":
            switch, assignment = "-c ", next(words, None)
            if assignment is None:
                raise _invalid(word)
        elif word.startswith("-c"):
            switch, assignment = "-c ", word[2:]
        elif word.startswith("--") and word != "--":
            switch, assignment = "--", word[2:]
        else:
            raise _invalid(word)
        name, equals, value = assignment.partition("=")
        if not equals:
            raise LoginFailed(f"{switch}{assignment} requires a value", sqlstate="42601")
        settings[name.replace("-", "_").lower()] = value
    return settings


def _invalid(word: str) -> LoginFailed:
    return LoginFailed(
        f"invalid command-line argument for server process: {word}",
        sqlstate="42601",
        hint="The startup parameter options takes -c name=value and --name=value.",
    )
