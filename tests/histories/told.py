"""Histories as text, so that a test of a checker reads as a transcript.

::

    1  0-9  ok       append x a; append y b
    2 10-12 failed serializable: read x [a]; remove x a
    1 13-14 unknown  swap r 0 1
    3 15-16 ok       miss r 0; read r 1
    final x [a]

A line has the session, when the transaction began and ended, its outcome, its isolation level where it is not
READ COMMITTED, and its steps. Words of digits are numbers; ``[a b]`` is a list or a set.
"""

import re
from typing import Any

from tests.histories.history import (
    Append,
    History,
    Isolation,
    Key,
    Miss,
    Outcome,
    Read,
    Remove,
    Step,
    Swap,
    Transaction,
)

_LINE = re.compile(r"(\d+)\s+(\d+)-(\d+)\s+(ok|failed|unknown)\s+(?:([a-z ]+):\s*)?(.*)")


def history(text: str) -> History:
    """The history that the lines of ``text`` tell. :raises ValueError: a line is not as it should be."""
    transactions = []
    final = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("final "):
            _, key, value = line.split(" ", 2)
            final[_key(key)] = _value(value)
        else:
            transactions.append(_transaction(line))
    return History(tuple(transactions), final)


def _transaction(line: str) -> Transaction:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"not a transaction: {line}")
    session, began, ended, outcome, level, steps = match.groups()
    isolation = Isolation(level) if level else Isolation.READ_COMMITTED
    done = tuple(_step(step.split(" ", 2), int(began), int(ended)) for step in steps.split("; "))
    return Transaction(int(session), Outcome(outcome), done, int(began), int(ended), isolation)


def _step(words: list[str], began: int, ended: int) -> Step:
    match words:
        case ["append", key, element]:
            return Append(_key(key), _value(element))
        case ["remove", key, element]:
            return Remove(_key(key), _value(element))
        case ["read", key, value]:
            return Read(_key(key), _value(value), began, ended)
        case ["swap", key, values]:
            expected, value = map(_value, values.split(" "))
            return Swap(_key(key), expected, value)
        case ["miss", key, expected]:
            return Miss(_key(key), _value(expected), began, ended)
    raise ValueError(f"not a step: {' '.join(words)}")


def _key(word: str) -> Key:
    return tuple(word.split("/"))


def _value(word: str) -> Any:
    if word.startswith("["):
        return tuple(map(_value, word[1:-1].split()))
    return int(word) if word.isdigit() else word
