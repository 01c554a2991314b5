"""What a move does, in order. Each step is written to the journal before it acts.

=================  ===========================================================================================
``planned``        the row in the journal; every obstacle by name
``announce``       the source knows of the move, and the map lists it
``retire``         nobody acts on either shard by an older map: transactions on the rows are led by the guard
``copy``           publication, slot, all rows as of the slot's beginning, subscription
``follow``         the target is close behind
``way_back``       publication and slot on the target, and a sleeping subscription on the source
``fence``          the rows are taken from their users, in one transaction that has waited for all of them
``arrive``         all that was acknowledged is on the target; its snapshot is kept
``flip``           the map says the target owns them: the commit point
``verify``         the target had exactly what the source has kept; else nothing is deleted
``soak``           the source's rows are kept current by the way back, until the rollback window is over
``retire_source``  nobody acts on the source by a map that has the rows there
``clean``          both streams and the source's rows are gone
``settle``         the map does not list the move; the source has forgotten it
=================  ===========================================================================================

A move ``offline`` has three steps in the place of those from ``copy`` to ``verify``, before its ``flip``:

===========  ===============================================================================================
``hold``     the rows are taken from their users, as by ``fence``
``carry``    all rows are copied; nobody can change them
``compare``  both sides are equal, and what the target has is safe
===========  ===============================================================================================

An abort, before the flip, gives the rows back to their users, and takes away what the copy made and the map's
entry. A rollback (rollback.py) is a move of its own, with the same steps, that adopts the way back instead of
copying.
"""

from enum import StrEnum


class Step(StrEnum):
    """The steps as the journal names them. ``DONE`` and ``ABORTED`` are its last entries."""

    PLANNED = "planned"
    ANNOUNCE = "announce"
    RETIRE = "retire"
    COPY = "copy"
    FOLLOW = "follow"
    WAY_BACK = "way_back"
    FENCE = "fence"
    ARRIVE = "arrive"
    FLIP = "flip"
    VERIFY = "verify"
    SOAK = "soak"
    RETIRE_SOURCE = "retire_source"
    CLEAN = "clean"
    SETTLE = "settle"
    DONE = "done"
    ABORT = "abort"
    ABORTED = "aborted"
    HOLD = "hold"
    CARRY = "carry"
    COMPARE = "compare"


ORDER = tuple(Step)[: tuple(Step).index(Step.DONE) + 1]
"""The steps of a move that is not aborted."""

OFFLINE = (
    Step.PLANNED,
    Step.ANNOUNCE,
    Step.RETIRE,
    Step.HOLD,
    Step.CARRY,
    Step.COMPARE,
    Step.FLIP,
    Step.RETIRE_SOURCE,
    Step.CLEAN,
    Step.SETTLE,
    Step.DONE,
)
"""Those of a move that follows no stream."""

IN_THE_PAUSE = (Step.FENCE, Step.ARRIVE, Step.HOLD, Step.CARRY, Step.COMPARE, Step.FLIP)
"""A driver that begins anew in one of these gives the rows back first, unless the flip has happened."""

AFTER_THE_FLIP = ORDER[ORDER.index(Step.FLIP) + 1 :]
"""A move that has come to one of these only goes forward."""

SAYS = {
    Step.PLANNED: "looking for obstacles",
    Step.ANNOUNCE: "announcing the move",
    Step.RETIRE: "waiting for everybody to know of it",
    Step.COPY: "copying",
    Step.FOLLOW: "following the source",
    Step.WAY_BACK: "preparing the way back",
    Step.FENCE: "taking the rows from their users",
    Step.ARRIVE: "waiting for the last changes",
    Step.HOLD: "taking the rows from their users until they are copied",
    Step.CARRY: "copying, while the rows are held",
    Step.COMPARE: "comparing both sides, while the rows are held",
    Step.FLIP: "giving the rows to the target",
    Step.VERIFY: "comparing both sides",
    Step.SOAK: "keeping the source's rows current",
    Step.RETIRE_SOURCE: "waiting for everybody to have left the source",
    Step.CLEAN: "deleting what the source has kept",
    Step.SETTLE: "taking the move out of the map",
    Step.DONE: "done",
    Step.ABORT: "undoing the move",
    Step.ABORTED: "aborted; the source owns the rows as before",
}
