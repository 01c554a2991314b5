"""What is wrong with servers: unreachable, too old, in the wrong role, or the same one twice."""

from collections.abc import Sequence
from typing import Final

from shardproxy.config.live.look import Look
from shardproxy.config.report import Report
from shardproxy.routing.route import Role

OLDEST: Final = 150_000
"""server_version_num of the oldest PostgreSQL that is supported."""


def judge_servers(looks: Sequence[Look], report: Report) -> None:
    """Report what is wrong with each server, and between them."""
    for seen in looks:
        if seen.failure is not None:
            report.mistake(
                seen.target.path,
                f"{seen.target.role} {seen.target.address} cannot be used: {seen.failure}; "
                "start it, or correct its address or login",
            )
        else:
            _judge_one(seen, report)
    reached = [seen for seen in looks if seen.failure is None]
    primaries = [seen for seen in reached if seen.target.role is Role.PRIMARY]
    _judge_primaries(primaries, report)
    for replica in reached:
        if replica.target.role is Role.REPLICA:
            _judge_replica(replica, primaries, report)


def _judge_one(seen: Look, report: Report) -> None:
    path, address = seen.target.path, seen.target.address
    if seen.version < OLDEST:
        report.mistake(path, f"{address} is PostgreSQL {seen.version_text}; shardproxy needs 15 or newer")
    if seen.encoding != "UTF8":
        report.mistake(
            path, f"the database's encoding is {seen.encoding}; create it anew with ENCODING 'UTF8'"
        )
    if seen.target.role is Role.PRIMARY and seen.in_recovery:
        report.mistake(path, f"{address} is a standby (pg_is_in_recovery); name the server that takes writes")
    if seen.target.role is Role.REPLICA and not seen.in_recovery:
        report.mistake(
            path, f"{address} is not a standby: it takes writes of its own; remove it or make it one"
        )
    if seen.system_identifier is None:
        report.warning(
            path,
            f"cannot see which cluster {address} belongs to; "
            "GRANT EXECUTE ON FUNCTION pg_control_system() to the proxy's role",
        )


def _judge_primaries(primaries: Sequence[Look], report: Report) -> None:
    owners: dict[int, Look] = {}
    for seen in primaries:
        identifier = seen.system_identifier
        if identifier is None:
            continue
        first = owners.setdefault(identifier, seen)
        if first is not seen:
            report.mistake(
                seen.target.path,
                f"{seen.target.address} is the same cluster as {first.target.address} of shard "
                f"'{first.target.name}' (system identifier {identifier}); each shard has its own",
            )


def _judge_replica(replica: Look, primaries: Sequence[Look], report: Report) -> None:
    own = next((seen for seen in primaries if seen.target.shard == replica.target.shard), None)
    if own is None or None in (own.system_identifier, replica.system_identifier):
        return
    if own.system_identifier != replica.system_identifier:
        other = next((p for p in primaries if p.system_identifier == replica.system_identifier), None)
        whose = f"of shard '{other.target.name}'" if other is not None else "of no shard here"
        report.mistake(
            replica.target.path,
            f"{replica.target.address} is a copy of another primary ({whose}); "
            f"list a standby of {own.target.address}",
        )
