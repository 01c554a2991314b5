"""Which facts hold for each row that a level's FROM and WHERE let through."""

from collections.abc import Iterable, Sequence

from shardproxy.sql.analysis.equivalence import Facts, Same, Variable
from shardproxy.sql.analysis.levels import Join, JoinKind, Source, Table, entries
from shardproxy.sql.analysis.scope import Variables


def surviving_facts(sources: Sequence[Source], known: Facts, variables: Variables) -> Facts:
    """``known`` (of WHERE and of the surroundings) and what the joins add to it.

    A fact is false for NULL, so it makes an outer join whose nullable side it speaks of an inner one, as
    reduce_outer_joins() does; that join's own condition then holds too, which may do the same to the next.
    """
    present: frozenset[int] = frozenset()
    while True:
        facts = (*known, *(fact for source in sources for fact in ensured(source, present)))
        now = frozenset(variables.info(variable).entry for variable in never_null(facts))
        if now == present:
            return facts
        present = now


def never_null(facts: Facts) -> set[Variable]:
    """The variables that are not NULL where the facts hold, under all their names."""
    known = {variable for fact in facts for variable in fact.variables()}
    names = [fact for fact in facts if isinstance(fact, Same)]
    while True:
        more = {
            variable
            for same in names
            if same.left in known or same.right in known
            for variable in (same.left, same.right)
        }
        if more <= known:
            return known
        known |= more


def ensured(source: Source, present: frozenset[int]) -> Facts:
    """What holds for each row of one part of FROM. ``present``: occurrences known not to be made of NULLs."""
    if isinstance(source, Table):
        return ()
    if not isinstance(source, Join):
        return source.exports
    left_stays, right_stays = kept_sides(source, present)
    left = ensured(source.left, present) if left_stays else ()
    right = ensured(source.right, present) if right_stays else ()
    return (*left, *right, *(source.facts if left_stays and right_stays else ()))


def kept_sides(join: Join, present: frozenset[int]) -> tuple[bool, bool]:
    """Whether each side of a join has a real row, not NULLs, in every row that matters."""
    left_stays = join.kind in (JoinKind.INNER, JoinKind.LEFT) or bool(entries(join.left) & present)
    right_stays = join.kind in (JoinKind.INNER, JoinKind.RIGHT) or bool(entries(join.right) & present)
    return left_stays, right_stays


def solid(sources: Sequence[Source]) -> frozenset[int]:
    """The occurrences that no outer join among ``sources`` makes NULL."""
    return frozenset().union(*map(entries, sources)) - nulled(sources)


def nulled(sources: Iterable[Source]) -> frozenset[int]:
    """The occurrences that an outer join may make NULL."""
    found: set[int] = set()
    for source in sources:
        if isinstance(source, Join):
            found |= nulled((source.left, source.right))
            if source.kind in (JoinKind.LEFT, JoinKind.FULL):
                found |= entries(source.right)
            if source.kind in (JoinKind.RIGHT, JoinKind.FULL):
                found |= entries(source.left)
    return frozenset(found)
