"""Good histories of each kind, made by random clients of a correct store."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random
from typing import Any

from tests.histories.checkers.totals import BALANCES, ENTRIES, TOTAL, Entry
from tests.histories.history import Append, History, Key, Miss, Remove, Swap
from tests.histories.store import Clients, Open, Store, Work

OPENING = dict.fromkeys(range(4), 100)


def lists(seed: int, clients: int = 5, turns: int = 12, keys: int = 3) -> History:
    """Transactions of one to four reads and appends."""
    random, names = Random(seed), count(1)
    known: list[Key] = [("list", str(number)) for number in range(keys)]

    def work() -> Work:
        plan = [(random.choice(known), random.random() < 0.5) for _ in range(random.choice((1, 1, 2, 3, 4)))]

        def do(opened: Open) -> Iterator[None]:
            for key, appends in plan:
                if appends:
                    yield from _append(opened, key, next(names))
                else:
                    yield from opened.read(key)

        return do

    return _history(random, lambda _: (), work, clients, turns, known)


def _append(opened: Open, key: Key, element: int) -> Iterator[None]:
    opened.steps.append(Append(key, element))
    yield
    yield from opened.lock(key)
    opened.change(key, lambda value: (*value, element))
    yield


def sets(seed: int, clients: int = 5, turns: int = 12, keys: int = 2, *, removals: bool = True) -> History:
    """Elements that are added, and some of them removed by who knows that they are there."""
    random, names = Random(seed), count(1)
    known: list[Key] = [("set", str(number)) for number in range(keys)]
    mine: dict[Key, list[int]] = {key: [] for key in known}

    def work() -> Work:
        key, kind = random.choice(known), random.choice(("add", "read", "add and read", "remove"))

        def do(opened: Open) -> Iterator[None]:
            if "add" in kind:
                element = next(names)
                opened.steps.append(Append(key, element))
                yield
                opened.change(key, lambda value: (*value, element))
                mine[key].append(element)
            if "read" in kind:
                yield from opened.read(key)
            if kind == "remove" and removals and mine[key]:
                yield from _remove(opened, key, mine[key].pop(random.randrange(len(mine[key]))))

        return do

    return _history(random, lambda _: (), work, clients, turns, known)


def _remove(opened: Open, key: Key, element: int) -> Iterator[None]:
    yield
    if element not in opened.value(key):
        return
    yield from opened.lock((*key, str(element)))
    opened.steps.append(Remove(key, element))
    opened.change(key, lambda value: tuple(each for each in value if each != element))
    opened.change((*key, str(element)), lambda _: None)


def registers(
    seed: int, clients: int = 5, turns: int = 12, keys: int = 2, *, counters: bool = False
) -> History:
    """Reads, and swaps of the value that was read; ``counters``: to the next number, else to a new value."""
    random, names = Random(seed), count(1)
    known: list[Key] = [("register", str(number)) for number in range(keys)]
    last: dict[Key, Any] = dict.fromkeys(known, 0)

    def work() -> Work:
        key, swaps = random.choice(known), random.random() < 0.6

        def do(opened: Open) -> Iterator[None]:
            if not swaps:
                yield from opened.read(key)
                last[key] = opened.value(key)
                return
            expected = last[key]
            yield from _swap(opened, key, expected, expected + 1 if counters else next(names))

        return do

    return _history(random, lambda _: 0, work, clients, turns, known)


def _swap(opened: Open, key: Key, expected: Any, value: Any) -> Iterator[None]:
    began = opened.store.tick()
    yield
    yield from opened.lock(key)
    if opened.value(key) == expected:
        opened.steps.append(Swap(key, expected, value))
        opened.change(key, lambda _: value)
        yield
    else:
        yield
        opened.steps.append(Miss(key, expected, began, opened.store.tick()))


def bank(seed: int, clients: int = 5, turns: int = 12) -> History:
    """Transfers, with their ledger, and reads of sums, balances and the ledger."""
    random, names = Random(seed), count(1)
    balances, ledger, total = ((word, "t") for word in (BALANCES, ENTRIES, TOTAL))

    def work() -> Work:
        kind = random.choice(("transfer", "transfer", "balances", "audit"))

        def do(opened: Open) -> Iterator[None]:
            if kind == "transfer":
                source, target = random.sample(sorted(OPENING), 2)
                yield from _transfer(opened, f"t{next(names)}", source, target, random.randint(1, 9))
                return
            yield from opened.read(balances)
            if kind == "audit":
                yield from opened.read(ledger)

        return do

    history = _history(
        random, lambda key: OPENING if key == balances else (), work, clients, turns, [balances, ledger]
    )
    return History(history.transactions, {**history.final, total: sum(history.final[balances].values())})


def _transfer(opened: Open, name: str, source: int, target: int, amount: int) -> Iterator[None]:
    entries = Entry(name, source, -amount), Entry(name, target, amount)
    opened.steps += [Append((ENTRIES, "t"), entry) for entry in entries]
    yield
    for account in sorted((source, target)):
        yield from opened.lock(("account", str(account)))
        opened.change(("account", str(account)), lambda _: None)
    opened.change(
        (BALANCES, "t"), lambda old: {**old, source: old[source] - amount, target: old[target] + amount}
    )
    yield
    opened.change((ENTRIES, "t"), lambda value: (*value, *entries))


def _history(
    random: Random,
    initial: Callable[[Key], Any],
    work: Callable[[], Work],
    clients: int,
    turns: int,
    known: Sequence[Key],
) -> History:
    crowd = Clients(Store(initial), random)
    crowd.run(clients, turns, work)
    return History(tuple(crowd.done), {key: crowd.store.latest(key) for key in known})
