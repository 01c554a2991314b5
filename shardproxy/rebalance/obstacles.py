"""What can be in the way of a move, worded: what it is, and what to do about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from shardproxy.errors import ShardproxyError


@dataclass(frozen=True, slots=True)
class Obstacle:
    """``what`` is in the way, and ``remedy`` is what to do. A ``warning`` does not stop the move."""

    what: str
    remedy: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


class Obstructed(ShardproxyError):
    """It cannot begin; nothing was changed. ``obstacles`` are all that are in the way of ``what``."""

    sqlstate = "55000"

    def __init__(self, obstacles: Iterable[Obstacle], what: str = "the move cannot begin") -> None:
        self.obstacles = tuple(obstacles)
        count = len(self.obstacles)
        super().__init__(
            f"{what}: {count} obstacle{'' if count == 1 else 's'}",
            detail="\n".join(f"- {obstacle}" for obstacle in self.obstacles),
        )


# kind of obstacles.sql: what is in the way, what to do. {table} and {detail} are the row's.
_TABLES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": (
        "the table {table} does not exist",
        "create it, or take it out of the configuration",
    ),
    "no key column": (
        "the table {table} has no column {detail}",
        "name its sharding key in the configuration",
    ),
    "no table": (
        "{table} is no table (relkind {detail})",
        "only tables and partitioned tables have rows that move; take it out of the configuration",
    ),
    "foreign partition": (
        "the partition {detail} of {table} is a foreign table",
        "its rows are somewhere else and cannot move; detach it",
    ),
    "unlogged": (
        "{detail} ({table}) is unlogged",
        "changes of unlogged tables are not replicated; ALTER TABLE {detail} SET LOGGED",
    ),
    "inheritance": (
        "{table} and {detail} inherit from each other",
        "a publication of one has the rows of both; use partitions, or ALTER TABLE ... NO INHERIT",
    ),
    "generated key": (
        "the sharding key {table}.{detail} is a generated column",
        "generated columns cannot be in a publication's row filter; make it an ordinary column",
    ),
    "user collation": (
        "the sharding key {table}.{detail} has a collation that is not built in",
        "a publication's row filter allows none; give the column a built-in collation",
    ),
    "no identity": (
        "{detail} ({table}) has no replica identity",
        "with a publication its UPDATEs and DELETEs would fail for everybody; "
        "give it a primary key that has the sharding key in it",
    ),
    "identity without key": (
        "the replica identity {detail} of {table} does not have the sharding key in it",
        "with a row filter on the key, UPDATEs and DELETEs would fail for everybody; "
        "put the key into the primary key, or ALTER TABLE {table} REPLICA IDENTITY USING INDEX with it",
    ),
    "generated identity": (
        "the replica identity of {table} has the generated column {detail} in it",
        "generated columns are not replicated; choose another key",
    ),
    "unique without key": (
        "the unique index or exclusion constraint {detail} on {table} does not have the sharding key in it",
        "rows of two shards could violate it together; put the sharding key into it",
    ),
    "trigger": (
        "the trigger {detail} on {table} is ENABLE ALWAYS or ENABLE REPLICA",
        "it would fire for rows that are only copied; ALTER TABLE {table} ENABLE TRIGGER {detail}",
    ),
    "rule": (
        "the rule {detail} on {table} is ENABLE ALWAYS or ENABLE REPLICA",
        "it would act on rows that are only moved; ALTER TABLE {table} ENABLE RULE {detail}",
    ),
    "foreign key to elsewhere": (
        "the foreign key {detail} of {table} refers to rows that do not come along",
        "refer to a table of the same group, the sharding key included, or to a reference table",
    ),
    "foreign key from elsewhere": (
        "the foreign key {detail} refers to rows of {table} that move, from rows that do not",
        "put that table into the same group, or drop the foreign key",
    ),
    "row security": (
        "row-level security would hide rows of {table} from the operator",
        "let the operator own the table (without FORCE ROW LEVEL SECURITY), or give it BYPASSRLS",
    ),
    "not owner": (
        "the operator does not own {table} ({detail} does)",
        "GRANT {detail} to the operator's role, or use a superuser",
    ),
}
_WARNINGS: Final[Mapping[str, tuple[str, str]]] = {
    "slow identity": (
        "{detail} ({table}) has REPLICA IDENTITY FULL and no primary key",
        "the target reads the whole table for each changed row; give it a primary key",
    ),
    "not configured": (
        "the table {table} has a column {detail} and is not in the configuration",
        "its rows stay where they are",
    ),
}

OF_STREAMS: Final = frozenset(
    (
        "unlogged",
        "generated key",
        "user collation",
        "no identity",
        "identity without key",
        "generated identity",
        "slow identity",
    )
)
"""Kinds that only a stream of changes minds."""


def of_table(shards: Iterable[str], kind: str, table: str, detail: str) -> Obstacle:
    """A row of obstacles.sql that was found on ``shards``."""
    where = " and ".join(f"shard {name}" for name in shards)
    what, remedy = _TABLES.get(kind) or _WARNINGS[kind]
    said = {"table": table, "detail": detail}
    return Obstacle(f"{where}: {what.format(**said)}", remedy.format(**said), kind in _WARNINGS)


def of_source(shard: str, facts: Mapping[str, Any]) -> list[Obstacle]:
    """What a row of server_facts.sql says against moves from that server."""
    found = [*of_server(shard, facts), *of_publisher(shard, facts, "; or move with --offline")]
    if facts["large_objects"]:
        found.append(
            Obstacle(
                f"shard {shard}: there are large objects",
                "they belong to no row and stay where they are",
                True,
            )
        )
    return found


def of_target(shard: str, facts: Mapping[str, Any]) -> list[Obstacle]:
    """What a row of server_facts.sql says against moves to that server."""
    return [*of_server(shard, facts), *of_subscriber(shard, facts)]


def of_way_back(found: Iterable[Obstacle], *, asked: bool) -> list[Obstacle]:
    """What is in the way of a way back: of the move itself only if one was asked for."""
    return [replace(each, what=f"no way back: {each.what}", warning=not asked) for each in found]


def of_publisher(shard: str, facts: Mapping[str, Any], instead: str = "") -> list[Obstacle]:
    """What is against a stream of changes from that server; ``instead``: what could be done without one."""
    found: list[Obstacle] = []
    add = _Adder(f"shard {shard}", found)
    if facts["wal_level"] != "logical":
        add(
            f"wal_level is {facts['wal_level']}",
            f"set wal_level = logical and restart the server{instead}",
        )
    if facts["free_slots"] < 1:
        add("no replication slot is free", "raise max_replication_slots, or drop a slot that nobody uses")
    if facts["free_senders"] < 2:
        add("a move needs two free WAL senders", "raise max_wal_senders")
    if facts["prepared"]:
        names = ", ".join(facts["prepared"])
        add(
            f"there are prepared transactions: {names}",
            "a replication slot waits for their end; COMMIT PREPARED or ROLLBACK PREPARED them",
        )
    if not facts["superuser"] and not facts["replication"]:
        add(f'"{facts["user"]}" may not replicate', f'ALTER ROLE "{facts["user"]}" REPLICATION')
    return found


def of_subscriber(shard: str, facts: Mapping[str, Any]) -> list[Obstacle]:
    """What is against a stream of changes to that server."""
    found: list[Obstacle] = []
    add = _Adder(f"shard {shard}", found)
    if facts["free_workers"] < 1:
        add(
            "no logical replication worker is free",
            "raise max_logical_replication_workers and max_worker_processes",
        )
    if facts["free_origins"] < 1:
        setting = "max_active_replication_origins" if facts["version"] >= 180_000 else "max_replication_slots"
        add("no replication origin is free", f"raise {setting}")
    if not facts["superuser"] and (facts["version"] < 160_000 or not facts["may_subscribe"]):
        remedy = (
            f'GRANT pg_create_subscription TO "{facts["user"]}"'
            if facts["version"] >= 160_000
            else "PostgreSQL 15 lets only superusers subscribe; use one"
        )
        add(f'"{facts["user"]}" may not create subscriptions', remedy)
    return found


def of_server(shard: str, facts: Mapping[str, Any]) -> list[Obstacle]:
    """What is against that server taking part in any move."""
    found: list[Obstacle] = []
    add = _Adder(f"shard {shard}", found)
    user, database = facts["user"], facts["database"]
    if facts["standby"]:
        add("the primary's address leads to a standby", "name the server that takes writes")
    if not facts["may_create"]:
        add(f'"{user}" may not create in the database', f'GRANT CREATE ON DATABASE "{database}" TO "{user}"')
    if not facts["may_replicate"]:
        remedy = f'GRANT SET ON PARAMETER session_replication_role TO "{user}"'
        add(f'"{user}" may not set session_replication_role', remedy)
    if not facts["may_signal"]:
        add(f'"{user}" may not end other sessions', f'GRANT pg_signal_backend TO "{user}"')
    if not facts["may_see"]:
        add(f'"{user}" may not look at other sessions', f'GRANT pg_read_all_stats TO "{user}"')
    return found


class _Adder:
    """Adds obstacles of one place to a list."""

    def __init__(self, where: str, found: list[Obstacle]) -> None:
        self._where = where
        self._found = found

    def __call__(self, what: str, remedy: str) -> None:
        self._found.append(Obstacle(f"{self._where}: {what}", remedy))
