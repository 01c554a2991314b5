"""What crashes leave is found by name, and removed unless somebody still needs it."""

from collections.abc import Iterator

import psycopg
import pytest

from shardproxy.catalog.locks import CLASS_MOVER
from shardproxy.demo.postgres import Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.drive import Soak
from shardproxy.rebalance.janitor import Cleared
from shardproxy.rebalance.options import MoveOptions
from tests.rebalance.listening import At
from tests.rebalance.pair import Pair
from tests.support.aio import run
from tests.support.rest import wait_until

HOUR = MoveOptions(grace=1.0, patience=30.0, rollback_window=3600.0)
ALL = ["session", "subscription", "slot", "publication", "fence", "marker", "state"]
LEAVE = """
CREATE PUBLICATION shardproxy_move_{0} FOR TABLE orders;
CREATE FUNCTION shardproxy.shardproxy_move_{0}_0(text) RETURNS boolean LANGUAGE sql RETURN true;
CREATE TRIGGER shardproxy_move_{0}_truncate BEFORE TRUNCATE ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION shardproxy.truncated('{0}');
INSERT INTO shardproxy.marker VALUES ({0}, gen_random_uuid()), ({0}, gen_random_uuid());
INSERT INTO shardproxy.moving VALUES ({0}, 'moved', 'right', 7);
SELECT pg_create_logical_replication_slot('shardproxy_move_{0}_' || oid, 'pgoutput')
FROM pg_database WHERE datname = current_database()
"""
OF_FENCES = """
SELECT tgname FROM pg_trigger WHERE tgname LIKE 'shardproxy%'
UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'shardproxy%'
"""


class Stopped(Exception):
    """What a test raises in the middle of a move."""


def stop() -> None:
    raise Stopped


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> Pair:
    pair = Pair.create(servers)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    return pair


@pytest.fixture
def session(pair: Pair) -> Iterator[psycopg.Connection]:
    """A session on the left shard that has the name of move 1's driver there."""
    dsn = pair.servers[0].dsn(dbname=pair.database)
    with psycopg.connect(dsn, application_name="shardproxy move 1", autocommit=True) as connection:
        yield connection


def clear(pair: Pair, *, dry_run: bool = False) -> Cleared:
    return run(rebalance.clear_leftovers(pair.installation(), dry_run=dry_run), 60)


def leave(pair: Pair, number: int) -> None:
    """One of everything."""
    for statement in LEAVE.format(number).split(";"):
        pair.query("left", statement)
    pair.query(
        "right",
        f"CREATE SUBSCRIPTION shardproxy_back_{number} CONNECTION 'dbname=nowhere' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
    )


@pytest.mark.parametrize("ending", ["done", "aborted"])
def test_what_a_move_that_has_ended_has_left_is_removed(
    pair: Pair, session: psycopg.Connection, ending: str
) -> None:
    with pytest.raises(Stopped):
        pair.move("acme", report=At("announce", stop))
    session.close()
    go_on = rebalance.resume if ending == "done" else rebalance.abort
    assert run(go_on(pair.installation(), 1), 60).state == ending
    assert clear(pair) == Cleared((), {})
    leave(pair, 1)
    with psycopg.connect(
        pair.servers[0].dsn(dbname=pair.database), application_name="shardproxy snapshot 1"
    ) as asleep:
        found = clear(pair, dry_run=True).found
        assert [each.kind for each in found] == ALL
        assert {(each.nobodys, each.removed, each.why) for each in found} == {
            (True, False, f"the move is {ending}")
        }
        assert pair.left_behind()
        assert [each.removed for each in clear(pair).found] == [True] * 7
        with pytest.raises(psycopg.OperationalError):
            asleep.execute("SELECT 1")
    assert pair.left_behind() == []
    assert clear(pair).found == ()
    assert pair.query("left", OF_FENCES) == []
    rows = pair.query("right" if ending == "done" else "left", "SELECT count(*) FROM orders")
    assert rows == [(100,)]


@pytest.mark.parametrize("step", ["copy", "follow", "fence", "flip", "verify", "clean", "settle"])
def test_nothing_is_taken_from_an_unfinished_move(pair: Pair, step: str) -> None:
    with pytest.raises(Stopped):
        pair.move("acme", report=At(step, stop))
    before = pair.left_behind()
    assert before
    cleared = clear(pair)
    assert cleared.found
    assert not [each for each in cleared.found if each.removed]
    assert pair.left_behind() == before
    assert run(rebalance.resume(pair.installation(), 1), 60).verified == "exact"
    assert clear(pair).found == ()


def test_a_way_back_and_a_rollback_keep_what_they_need(pair: Pair) -> None:
    pair.move("acme", options=HOUR)
    assert not [each for each in clear(pair).found if each.removed]
    with pytest.raises(Stopped):
        run(rebalance.roll_back(pair.installation(), 1, At("clean", stop)), 60)
    first, _ = run(rebalance.read(pair.installation(), 1))
    assert first.has_ended
    kept = clear(pair).found
    assert {each.why for each in kept if each.move == 1} == {"move 2 rolls it back"}
    assert not [each for each in kept if each.removed]
    assert run(rebalance.resume(pair.installation(), 2), 60).state == "done"
    assert clear(pair).found == ()
    pair.move("acme", options=HOUR)
    run(rebalance.resume(pair.installation(), 3, soak=Soak.END), 60)
    assert pair.left_behind() == []


def test_sessions_of_a_driver_that_is_gone_are_ended(pair: Pair, session: psycopg.Connection) -> None:
    session.execute("SELECT shardproxy.enter(0, NULL)")
    pair.query(
        "left",
        "INSERT INTO shardproxy.move (source, target, what, step)"
        " VALUES ('left', 'right', '{\"buckets\": [1]}', 'copy')",
    )
    with psycopg.connect(pair.servers[0].dsn(dbname=pair.database), autocommit=True) as driver:
        driver.execute("SELECT pg_advisory_lock(%s, 1)", (CLASS_MOVER,))
        [kept] = clear(pair).found
        assert (kept.why, kept.removed) == ("its driver is at work", False)
    wait_until(lambda: clear(pair).found[0].removed, "the driver is gone")
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")


def test_what_the_journal_does_not_know_is_kept_and_told(pair: Pair) -> None:
    for number in (77, 3_000_000_000):
        pair.query("right", f"CREATE PUBLICATION shardproxy_move_{number}")
    found = clear(pair).found
    assert [(each.name, each.why, each.removed) for each in found] == [
        ("shardproxy_move_77", "the journal does not know that move", False),
        ("shardproxy_move_3000000000", "the journal does not know that move", False),
    ]


def test_names_of_others_are_not_ours(pair: Pair) -> None:
    for name in ("shardproxy_move_", "shardproxy_move_1x", "my_shardproxy_move_1", "shardproxy_other_1"):
        pair.query("right", f"CREATE PUBLICATION {name}")
    assert clear(pair).found == ()
