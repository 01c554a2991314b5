"""Routes while rows move: what holds the cut-over up, what is left out, and where replicas are out of the question."""

from dataclasses import replace

from shardproxy.routing.parameters import BindValues, NoValues
from shardproxy.routing.route import Anywhere, FanOut, OneShard, ReadPolicy, Role
from shardproxy.routing.router import RoutingContext, route
from shardproxy.sql.exclusion import COLUMN
from shardproxy.sql.statement import Constant, KeySet, Kind, Parameter, Reach, Statement
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap
from tests.topology.maps import key_on, shard_map

A, B, C = range(3)
MOVING = key_on(shard_map(), A)
BESIDE = key_on(shard_map(), A, nth=1)
READ = RoutingContext(read=ReadPolicy.REPLICA)
BY_PARAMETER = Statement(
    Kind.QUERY,
    "SELECT",
    Reach.KEYED,
    key_sets=(KeySet("tenant", KeyFamily.TEXT, (Parameter(1),)),),
    fan_out=True,
    read_only=True,
)
OF_TENANT = Statement(
    Kind.QUERY, "SELECT", Reach.UNBOUND, fan_out=True, read_only=True, unbound=(("public", "orders"),)
)


def under(*moves: Moving) -> ShardMap:
    return replace(shard_map(), moves=moves, epoch=9, shard_epochs=(9, 9, 3))


def move(*, moved: bool = False) -> Moving:
    return Moving(17, A, B, keys=frozenset({("tenant", MOVING.encode())}), moved=moved)


def by_key(key: str, the_map: ShardMap) -> OneShard:
    found = route(BY_PARAMETER, BindValues((), [key.encode()]), READ, the_map)
    assert isinstance(found, OneShard)
    return found


def test_what_moves_is_held_up_on_its_primary() -> None:
    found = by_key(MOVING, under(move()))
    assert (found.shard, found.role, found.guards, found.epoch) == (A, Role.PRIMARY, (17,), 9)


def test_what_has_moved_is_not_held_up_and_not_read_on_a_replica_yet() -> None:
    found = by_key(MOVING, under(move(moved=True)))
    assert (found.role, found.guards) == (Role.PRIMARY, ())


def test_what_stays_is_routed_as_ever() -> None:
    found = by_key(BESIDE, under(move()))
    assert (found.shard, found.role, found.guards) == (A, Role.REPLICA, ())


def test_a_bucket_takes_its_keys_along() -> None:
    buckets = Moving(18, A, C, buckets=frozenset(range(16_384)))
    assert by_key(BESIDE, under(buckets)).guards == (18,)


def test_the_tenant_of_the_session_moves_too() -> None:
    context = replace(READ, tenant=MOVING.encode())
    found = route(OF_TENANT, NoValues(), context, under(move()))
    assert isinstance(found, OneShard)
    assert (found.role, found.guards) == (Role.PRIMARY, (17,))


def test_keys_of_several_moves_are_all_held_up() -> None:
    other = Moving(18, A, C, keys=frozenset({("tenant", BESIDE.encode())}))
    keys = tuple(Constant(key.encode()) for key in (MOVING, BESIDE))
    statement = replace(BY_PARAMETER, key_sets=(KeySet("tenant", KeyFamily.TEXT, keys),))
    found = route(statement, NoValues(), READ, under(other, move()))
    assert isinstance(found, OneShard)
    assert found.guards == (17, 18)


def test_a_fan_out_counts_rows_that_move_once() -> None:
    found = route(OF_TENANT, NoValues(), READ, under(move()))
    assert isinstance(found, FanOut)
    assert found.role is Role.PRIMARY
    assert found.guards == {A: (17,), B: (), C: ()}
    assert found.epochs == {A: 9, B: 9, C: 3}
    assert set(found.excluded[B]) == {"tenant"}
    assert COLUMN in found.excluded[B]["tenant"]
    assert found.excluded[A] == found.excluded[C] == {}


def test_after_the_flip_it_leaves_out_what_the_source_still_has() -> None:
    found = route(OF_TENANT, NoValues(), READ, under(move(moved=True)))
    assert isinstance(found, FanOut)
    assert not any(found.guards.values())
    assert set(found.excluded[A]) == {"tenant"}
    assert found.excluded[B] == {}


def test_buckets_leave_out_rows_of_every_group() -> None:
    buckets = Moving(18, A, C, buckets=frozenset({1, 2, 3}))
    found = route(OF_TENANT, NoValues(), READ, under(buckets))
    assert isinstance(found, FanOut)
    assert set(found.excluded[C]) == {"tenant", "device", "document"}


def test_what_reads_no_rows_does_not_care() -> None:
    statement = Statement(Kind.QUERY, "SELECT", Reach.ANYWHERE, read_only=True)
    assert isinstance(route(statement, NoValues(), READ, under(move())), Anywhere)
