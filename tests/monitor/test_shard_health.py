"""Which server is the primary and which replicas may be read, from what was seen. No server is needed for
that."""

from dataclasses import replace

from shardproxy.backend.server import Address, Login
from shardproxy.monitor.servers import Sighting, WatchedServer
from shardproxy.monitor.shard_health import RotationOptions, ShardHealth
from shardproxy.routing.route import Role


def server(name: str, role: Role = Role.REPLICA, weight: int = 1) -> WatchedServer:
    return WatchedServer("shard-a", role, Address(name, 5432), Login("app", "app"), weight)


P, R1, R2 = server("p", Role.PRIMARY), server("r1"), server("r2")


def primary(timeline: int = 1, identifier: int | None = 7, written: int = 100) -> Sighting:
    return Sighting(Role.PRIMARY, timeline, identifier, written=written)


def replica(replayed: int = 100, identifier: int | None = 7, timeline: int | None = None) -> Sighting:
    return Sighting(Role.REPLICA, timeline, identifier, received=replayed, replayed=replayed, streaming=True)


def health(options: RotationOptions | None = None) -> ShardHealth:
    return ShardHealth("shard-a", (P, R1, R2), options or RotationOptions())


def test_before_anything_was_seen_nothing_is_assumed() -> None:
    shard = health()
    assert shard.primary is None
    assert not shard.writable
    assert shard.rotation == ()
    assert not any(state.reachable or state.probed for state in shard.states)


def test_roles_are_what_was_seen() -> None:
    shard = health()
    shard.seen(P, primary(), 1.0)
    shard.seen(R1, replica(), 1.0)
    assert shard.primary == P
    assert shard.writable
    assert shard.rotation == (R1,)


def test_a_configured_primary_in_recovery_is_neither_primary_nor_read() -> None:
    shard = health()
    shard.seen(P, replica(), 1.0)
    assert shard.primary is None
    assert shard.rotation == ()


def test_the_promoted_replica_is_the_primary_and_leaves_the_rotation() -> None:
    shard = health()
    shard.seen(P, primary(), 1.0)
    shard.seen(R1, replica(), 1.0)
    shard.seen(R1, primary(timeline=2), 2.0)
    assert shard.primary == R1
    assert not shard.writable
    assert shard.rotation == ()


def test_an_old_primary_stays_old_while_its_successor_is_away() -> None:
    shard = health()
    shard.seen(P, primary(), 1.0)
    shard.seen(R1, primary(timeline=2), 2.0)
    shard.lost(R1, "gone", 3.0)
    shard.seen(P, primary(), 4.0)
    assert shard.primary is None
    shard.seen(P, primary(timeline=3), 5.0)
    assert shard.primary == P


def test_of_two_primaries_on_one_timeline_only_the_configured_one_counts() -> None:
    shard = health()
    shard.seen(R1, primary(), 1.0)
    shard.seen(R2, primary(), 1.0)
    assert shard.primary is None
    shard.seen(P, primary(), 1.0)
    assert shard.primary == P


def test_a_primary_of_another_cluster_does_not_count_however_high_its_timeline() -> None:
    shard = health()
    shard.seen(P, primary(), 1.0)
    shard.seen(R1, primary(timeline=9, identifier=8), 1.0)
    assert shard.primary == P
    shard.lost(P, "gone", 2.0)
    assert shard.primary is None


def test_a_stranger_that_was_seen_first_leaves_as_soon_as_the_primary_is_seen() -> None:
    shard = health(RotationOptions(max_lag=None))
    shard.seen(R1, replica(identifier=8), 1.0)
    shard.seen(P, primary(), 1.5)
    assert shard.rotation == ()
    assert shard.state(R1.name).since == 1.5


def test_while_the_primary_was_not_seen_servers_that_disagree_are_not_read() -> None:
    shard = health(RotationOptions(max_lag=None))
    shard.seen(R1, replica(identifier=7), 1.0)
    assert shard.rotation == (R1,)
    shard.seen(R2, replica(identifier=8), 1.0)
    assert shard.rotation == ()


def test_replicas_of_an_old_primary_leave_as_soon_as_the_new_timeline_is_seen() -> None:
    shard = health()
    shard.seen(P, primary(), 1.0)
    shard.seen(R1, replica(timeline=1), 1.0)
    shard.seen(P, primary(timeline=2), 2.0)
    assert shard.rotation == ()


def test_servers_that_hide_their_identifier_are_taken_for_ours() -> None:
    shard = health()
    shard.seen(P, primary(identifier=None), 1.0)
    shard.seen(R1, replica(identifier=7), 1.0)
    assert shard.primary == P
    assert shard.rotation == (R1,)


def test_a_replica_that_follows_an_old_primary_is_not_read() -> None:
    shard = health()
    shard.seen(P, primary(timeline=2), 1.0)
    assert not shard.seen(R1, replica(timeline=1), 1.0).in_rotation
    assert shard.seen(R2, replica(timeline=2), 1.0).in_rotation


def test_limits_of_lag_in_seconds_and_bytes() -> None:
    def rotation(options: RotationOptions) -> tuple[WatchedServer, ...]:
        shard = health(options)
        shard.seen(P, primary(written=100), 1.0)
        shard.seen(P, primary(written=300), 6.0)
        shard.seen(R1, replica(replayed=100), 6.0)  # five seconds and 200 bytes behind
        shard.seen(R2, replica(replayed=300), 6.0)
        return shard.rotation

    assert rotation(RotationOptions(max_lag=5.0)) == (R1, R2)
    assert rotation(RotationOptions(max_lag=4.9)) == (R2,)
    assert rotation(RotationOptions(max_lag=None, max_lag_bytes=200)) == (R1, R2)
    assert rotation(RotationOptions(max_lag=None, max_lag_bytes=199)) == (R2,)
    assert rotation(RotationOptions(max_lag=None)) == (R1, R2)


def test_a_replica_of_unknown_lag_is_read_only_without_a_limit() -> None:
    unknown = Sighting(Role.REPLICA, system_identifier=7)
    for options, read in ((RotationOptions(), False), (RotationOptions(max_lag=None), True)):
        shard = health(options)
        shard.seen(P, primary(), 1.0)
        assert shard.seen(R1, unknown, 1.0).in_rotation is read


def test_positions_of_one_primary_do_not_measure_the_replicas_of_the_next() -> None:
    shard = health()
    shard.seen(P, primary(written=1_000_000), 1.0)
    shard.lost(P, "gone", 2.0)
    shard.seen(R1, primary(timeline=2, written=500), 3.0)
    assert shard.seen(R2, replica(replayed=500), 3.0).lag_bytes == 0
    assert shard.seen(R2, replica(replayed=400), 4.0).lag_seconds == 1.0


def test_since_is_the_time_of_the_last_change_of_anything_but_lag() -> None:
    shard = health()
    assert shard.seen(P, primary(written=1), 1.0).since == 1.0
    assert shard.seen(P, primary(written=2), 2.0).since == 1.0
    lost = shard.lost(P, "gone", 3.0)
    assert (lost.since, lost.failure, lost.role) == (3.0, "gone", Role.PRIMARY)
    assert shard.lost(P, "gone for another reason", 4.0).since == 3.0


def test_the_rotation_is_the_same_tuple_until_it_changes() -> None:
    shard = health()
    shard.seen(P, primary(), 1.0)
    shard.seen(R1, replica(), 1.0)
    before = shard.rotation
    shard.seen(R1, replica(replayed=101), 2.0)
    assert shard.rotation is before
    shard.seen(R2, replica(), 2.0)
    assert shard.rotation == (R1, R2)


def test_a_replica_is_complete_up_to_when_its_primary_was_asked() -> None:
    shard = health()
    first = replace(primary(), inserted=100)
    shard.seen(P, first, 1.2, asked=1.0)
    shard.seen(P, replace(first, inserted=200), 2.2, asked=2.0)
    assert shard.seen(R1, replica(99), 2.3).complete is None
    assert shard.seen(R1, replica(100), 2.4).complete == 1.0
    assert shard.seen(R1, replica(250), 2.5).complete == 2.0
    assert shard.seen(R2, primary(timeline=2), 3.0).complete is None
    assert shard.seen(R1, replica(250), 3.1).complete is None, "of the new primary nothing is known"
