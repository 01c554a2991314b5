"""Ways to make a good history a bad one, each by as little as shows it.

Every function takes a history and returns one that no correct store can have made, or None where the history
has nothing that the mutation could be done to.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from tests.histories.checkers.elements import Life, lives
from tests.histories.checkers.orders import order_of_each
from tests.histories.history import (
    NEVER,
    Append,
    Element,
    History,
    Isolation,
    Key,
    Outcome,
    Read,
    Remove,
    Step,
    Swap,
    Transaction,
)

NOBODY = 999_999
"""An element or a value that nobody wrote."""
Place = tuple[int, int]
"""The numbers of a transaction and of a step in it."""


def lost_at_the_end(history: History, random: Random) -> History | None:
    """The last acknowledged element of a list is not there at the end."""
    known = lives(history)
    ends = [
        (key, value[-1]) for key, value in history.final.items() if value and _stays(known[key, value[-1]])
    ]
    return _without(history, *random.choice(ends)) if ends else None


def lost_in_the_middle(history: History, random: Random) -> History | None:
    """An acknowledged element is not there at the end, and nobody ever saw it either."""
    known = lives(history)
    middle = [
        (key, element)
        for key, value in history.final.items()
        for element in value[:-1]
        if _stays(known[key, element])
    ]
    if not middle:
        return None
    key, lost = random.choice(middle)
    history = _without(history, key, lost)
    for place, read in _reads(history):
        if read.key == key and lost not in _own(history, place):
            history = _put(
                history, place, replace(read, value=tuple(each for each in read.value if each != lost))
            )
    return history


def doubled(history: History, random: Random) -> History | None:
    """An element is there once more."""
    keys = [key for key, value in history.final.items() if value]
    if not keys:
        return None
    key = random.choice(keys)
    return _finally(history, key, (*history.final[key], random.choice(history.final[key])))


def from_nowhere(history: History, random: Random) -> History | None:
    """A read shows an element that nobody wrote."""
    return _shown(history, random, [NOBODY])


def dirty(history: History, random: Random) -> History | None:
    """A read shows an element of a transaction that failed."""
    failed = [
        step
        for transaction in history.transactions
        if transaction.outcome is Outcome.FAILED
        for step in transaction.steps
        if isinstance(step, Append)
    ]
    random.shuffle(failed)
    return next(
        (bad for step in failed if (bad := _shown(history, random, [step.element], step.key)) is not None),
        None,
    )


def reordered(history: History, random: Random) -> History | None:
    """Two neighbours have changed places at the end, of which one was acknowledged before the other was sent."""
    known = lives(history)
    pairs = [
        (key, place)
        for key, value in history.final.items()
        for place in range(len(value) - 1)
        if known[key, value[place]].added.settled < known[key, value[place + 1]].added.committing
    ]
    if not pairs:
        return None
    key, place = random.choice(pairs)
    value = list(history.final[key])
    value[place : place + 2] = reversed(value[place : place + 2])
    return _finally(history, key, tuple(value))


def stale(history: History, random: Random) -> History | None:
    """A read does not show an element (nor what came after it) that was acknowledged before the read began, and
    that nobody has removed.
    """
    known = lives(history)
    possible = [
        (place, read, read.value[:cut] + _own(history, place))
        for place, read in _reads(history)
        for cut, element in enumerate(read.value)
        if (life := known.get((read.key, element))) is not None
        and life.added.settled < read.began
        and not life.removals
    ]
    if not possible:
        return None
    place, read, value = random.choice(possible)
    return _put(history, place, replace(read, value=value))


def future(history: History, random: Random) -> History | None:
    """A read shows everything up to an element that was only sent after it."""
    known, order_of = lives(history), order_of_each(history)
    possible = [
        (place, read, order_of[read.key][: until + 1])
        for place, read in _reads(history)
        if not _own(history, place)
        for until, element in enumerate(order_of[read.key])
        if known[read.key, element].added.committing > read.ended
    ]
    if not possible:
        return None
    place, read, value = random.choice(possible)
    return _put(history, place, replace(read, value=value))


def own_unseen(history: History, random: Random) -> History | None:
    """A transaction does not see what it has appended itself."""
    possible = [(place, read, own) for place, read in _reads(history) if (own := _own(history, place))]
    if not possible:
        return None
    place, read, own = random.choice(possible)
    return _put(history, place, replace(read, value=tuple(each for each in read.value if each not in own)))


def split(history: History, random: Random) -> History | None:
    """From some append on there were two copies: one got only this append, the other all later ones and won."""
    known = lives(history)
    possible = [
        (key, place)
        for key, value in history.final.items()
        for place in range(len(value) - 1)
        if known[key, value[place]].added.outcome is Outcome.OK
    ]
    if not possible:
        return None
    key, fork = random.choice(possible)
    order = history.final[key]
    history = _finally(history, key, order[:fork] + order[fork + 1 :])
    for place, read in _reads(history):
        if read.key == key and read.value[fork : fork + 1] == (order[fork],) and not _own(history, place):
            other = random.random() < 0.5
            value = order[: fork + 1] if other else order[:fork] + read.value[fork + 1 :]
            history = _put(history, place, replace(read, value=value))
    return history


def torn(history: History, random: Random) -> History | None:
    """Of a transaction of unknown outcome one append is there and the other is not."""
    possible = [
        step
        for transaction in history.transactions
        if transaction.outcome is Outcome.UNKNOWN
        for step in transaction.steps
        if isinstance(step, Append)
        and sum(isinstance(each, Append) for each in transaction.steps) > 1
        and step.element in history.final[step.key]
    ]
    if not possible:
        return None
    step = random.choice(possible)
    return _without(history, step.key, step.element)


def returned(history: History, random: Random) -> History | None:
    """What was removed is there again at the end."""
    possible = [
        step
        for transaction in history.transactions
        if transaction.outcome is Outcome.OK
        for step in transaction.steps
        if isinstance(step, Remove)
    ]
    if not possible:
        return None
    step = random.choice(possible)
    return _finally(history, step.key, (*history.final[step.key], step.element))


def lost_update(history: History, random: Random) -> History | None:
    """A value was replaced twice."""
    possible = [
        (transaction, step)
        for transaction in history.transactions
        if transaction.outcome is Outcome.OK
        for step in transaction.steps
        if isinstance(step, Swap)
    ]
    if not possible:
        return None
    transaction, step = random.choice(possible)
    again = replace(transaction, steps=(replace(step, value=NOBODY),), session=transaction.session + 1)
    return replace(history, transactions=(*history.transactions, again))


def lost_swap(history: History, random: Random) -> History | None:
    """A register has at the end what an acknowledged swap replaced."""
    swaps = [
        step
        for transaction in history.transactions
        if transaction.outcome is Outcome.OK
        for step in transaction.steps
        if isinstance(step, Swap)
    ]
    if not swaps:
        return None
    step = random.choice(swaps)
    return _finally(history, step.key, step.expected)


def stale_register(history: History, random: Random) -> History | None:
    """A read has a value that was replaced before it began."""
    replaced = [
        (step, transaction.settled)
        for transaction in history.transactions
        for step in transaction.steps
        if isinstance(step, Swap)
    ]
    possible = [
        (place, read, step.expected)
        for place, read in _reads(history)
        for step, settled in replaced
        if step.key == read.key and settled < read.began
    ]
    if not possible:
        return None
    place, read, value = random.choice(possible)
    return _put(history, place, replace(read, value=value))


def unbalanced(history: History, random: Random) -> History | None:
    """One account has one more in one read."""
    possible = [(place, read) for place, read in _reads(history) if isinstance(read.value, dict)]
    if not possible:
        return None
    place, read = random.choice(possible)
    account = random.choice(sorted(read.value))
    return _put(history, place, replace(read, value={**read.value, account: read.value[account] + 1}))


def half_a_ledger(history: History, random: Random) -> History | None:
    """One snapshot shows a transfer in the balances that it does not show in the ledger."""
    possible = [
        (place, read)
        for place, read in _reads(history)
        if read.value
        and isinstance(read.value, tuple)
        and history.transactions[place[0]].isolation is not Isolation.READ_COMMITTED
    ]
    if not possible:
        return None
    place, read = random.choice(possible)
    gone = random.choice(read.value)
    return _put(history, place, replace(read, value=tuple(each for each in read.value if each != gone)))


def skewed(history: History, level: Isolation) -> History:
    """Two transactions at the end each read what the other one appends to afterwards."""
    (one, first), (two, second) = list(history.final.items())[:2]
    return _then(
        history,
        level,
        {one: (*first, NOBODY), two: (*second, NOBODY + 1)},
        [Read(two, second, *_after(history)), Append(one, NOBODY)],
        [Read(one, first, *_after(history)), Append(two, NOBODY + 1)],
    )


def half_seen(history: History, level: Isolation) -> History:
    """A transaction at the end sees one of two appends of another one."""
    (one, first), (two, second) = list(history.final.items())[:2]
    return _then(
        history,
        level,
        {one: (*first, NOBODY), two: (*second, NOBODY + 1)},
        [Read(one, first, *_after(history)), Read(two, (*second, NOBODY + 1), *_after(history))],
        [Append(one, NOBODY), Append(two, NOBODY + 1)],
    )


def mutually_read(history: History, level: Isolation) -> History:
    """Two transactions at the end have each read what the other one appended."""
    (one, first), (two, second) = list(history.final.items())[:2]
    return _then(
        history,
        level,
        {one: (*first, NOBODY), two: (*second, NOBODY + 1)},
        [Append(one, NOBODY), Read(two, (*second, NOBODY + 1), *_after(history))],
        [Append(two, NOBODY + 1), Read(one, (*first, NOBODY), *_after(history))],
    )


def crossed(history: History, level: Isolation) -> History:
    """Two transactions at the end have each appended before the other one."""
    (one, first), (two, second) = list(history.final.items())[:2]
    names = [NOBODY + place for place in range(4)]
    return _then(
        history,
        level,
        {one: (*first, names[0], names[1]), two: (*second, names[2], names[3])},
        [Append(one, names[0]), Append(two, names[3])],
        [Append(one, names[1]), Append(two, names[2])],
    )


def intermediate(history: History, level: Isolation) -> History:
    """A transaction at the end sees the first of two appends of another one to the same list."""
    (one, first), *_ = history.final.items()
    return _then(
        history,
        level,
        {one: (*first, NOBODY, NOBODY + 1)},
        [Append(one, NOBODY), Append(one, NOBODY + 1)],
        [Read(one, (*first, NOBODY), *_after(history))],
    )


def _stays(life: Life) -> bool:
    """Whether an element must be there at the end."""
    return life.added.outcome is Outcome.OK and not life.maybe_removed


def _then(history: History, level: Isolation, final: dict[Key, Any], *steps: list[Step]) -> History:
    """The history with transactions at the end that all run side by side."""
    began, ended = _after(history)
    more = [
        Transaction(NOBODY + place, Outcome.OK, tuple(each), began, ended, level)
        for place, each in enumerate(steps)
    ]
    return History((*history.transactions, *more), {**history.final, **final})


def _after(history: History) -> tuple[int, int]:
    end = max((each.completed for each in history.transactions), default=0)
    assert end < NEVER
    return end + 1, end + 9


def _reads(history: History) -> Iterator[tuple[Place, Read]]:
    for number, transaction in enumerate(history.transactions):
        for place, step in enumerate(transaction.steps):
            if isinstance(step, Read):
                yield (number, place), step


def _own(history: History, place: Place) -> tuple[Element, ...]:
    """What the transaction itself had appended before one of its reads."""
    steps = history.transactions[place[0]].steps
    key = steps[place[1]].key
    return tuple(step.element for step in steps[: place[1]] if isinstance(step, Append) and step.key == key)


def _put(history: History, place: Place, step: Step) -> History:
    transactions = list(history.transactions)
    steps = list(transactions[place[0]].steps)
    steps[place[1]] = step
    transactions[place[0]] = replace(transactions[place[0]], steps=tuple(steps))
    return replace(history, transactions=tuple(transactions))


def _finally(history: History, key: Key, value: Any) -> History:
    return replace(history, final={**history.final, key: value})


def _without(history: History, key: Key, lost: Element) -> History:
    """Without an element at the end."""
    return _finally(history, key, tuple(element for element in history.final[key] if element != lost))


def _shown(
    history: History, random: Random, elements: list[Element], key: Key | None = None
) -> History | None:
    """A read of another transaction, of that key or any, also shows some elements, before its own."""
    possible = [
        (place, read)
        for place, read in _reads(history)
        if key in (None, read.key) and isinstance(read.value, tuple) and not _own(history, place)
    ]
    if not possible:
        return None
    place, read = random.choice(possible)
    return _put(history, place, replace(read, value=(*read.value, *elements)))
