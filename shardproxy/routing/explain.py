"""A routing decision in words, for ``shardproxy route`` and the client library's ``db.route()``."""

from dataclasses import dataclass
from typing import Final

from shardproxy.errors import ShardproxyError
from shardproxy.routing.bound_keys import bound_keys
from shardproxy.routing.parameters import Values
from shardproxy.routing.route import Anywhere, FanOut, Route
from shardproxy.sql.statement import KeySet, Kind, Statement
from shardproxy.topology.keys import bucket, to_text
from shardproxy.topology.shard_map import ShardMap


@dataclass(frozen=True, slots=True)
class ExplainedKey:
    """One key the statement named: its text, bucket (0 to 16383) and shard; ``placed``: by a placement."""

    group: str
    text: str
    bucket: int
    shard: str
    placed: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a statement goes and why, or why it is refused; strings and numbers only, ready for JSON.

    ``decision`` is "one shard", "any shard", "several shards", "the session" (for BEGIN, SET and their
    like) or "refused". ``shards`` are names, none when refused or of the session; for "any shard" the
    one that is asked first. ``role`` is "primary", "replica" or "session", "" when refused. ``keys`` are
    those that could be read. ``sqlstate`` and ``hint`` are those of the refusal.
    """

    decision: str
    shards: tuple[str, ...]
    role: str
    reason: str
    keys: tuple[ExplainedKey, ...] = ()
    sqlstate: str | None = None
    hint: str | None = None


ROUTED: Final = frozenset({Kind.QUERY, Kind.COPY_IN, Kind.COPY_OUT})
"""The kinds of statement that have a route."""

OF_SESSION: Final = Explanation(
    "the session", (), "session", "it speaks of the session or its transaction, not of rows"
)
"""What there is to say of all other kinds."""


def explain(
    statement: Statement, outcome: Route | ShardproxyError, shard_map: ShardMap, values: Values
) -> Explanation:
    """Say what ``outcome``, which :func:`router.route` returned or raised for these values, means."""
    keys = _explained_keys(statement, shard_map, values)
    if isinstance(outcome, ShardproxyError):
        return Explanation("refused", (), "", outcome.message, keys, outcome.sqlstate, outcome.hint)
    if isinstance(outcome, FanOut):
        decision, shards = "several shards", outcome.shards
    elif isinstance(outcome, Anywhere):
        preferred = shard_map.designated if outcome.preferred is None else outcome.preferred
        decision, shards = "any shard", (preferred,)
    else:
        decision, shards = "one shard", (outcome.shard,)
    names = tuple(shard_map.shards[shard] for shard in shards)
    return Explanation(decision, names, outcome.role.value, outcome.reason, keys)


def _explained_keys(statement: Statement, shard_map: ShardMap, values: Values) -> tuple[ExplainedKey, ...]:
    """The distinct keys, in the order the statement has them; those without a readable value are left out."""
    found: dict[ExplainedKey, None] = {}
    for key_set in statement.key_sets:
        found.update(dict.fromkeys(_keys_of(key_set, shard_map, values)))
    return tuple(found)


def _keys_of(key_set: KeySet, shard_map: ShardMap, values: Values) -> list[ExplainedKey]:
    try:
        keys = list(bound_keys(key_set, values))
    except ShardproxyError:
        return []
    group, family = key_set.group, key_set.family
    return [
        ExplainedKey(
            group=group,
            text=to_text(family, key),
            bucket=bucket(family, key),
            shard=shard_map.shards[shard_map.owner(group, family, key)],
            placed=(group, key) in shard_map.placements,
        )
        for key in keys
        if key is not None
    ]
