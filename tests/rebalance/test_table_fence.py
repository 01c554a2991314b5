"""Sessions that go past the sidecars: they write to moving rows while the source owns them, and not afterwards."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from shardproxy.catalog.journal import Buckets
from shardproxy.demo.postgres import Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance import table_fence
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from shardproxy.rebalance.table_fence import TableInUse
from shardproxy.topology.keys import KeyFamily, bucket
from tests.rebalance.listening import At
from tests.rebalance.pair import ORDERS, Pair
from tests.support.aio import run

APP = "app"
WRITES = {
    "INSERT": "INSERT INTO orders VALUES ('acme', 999, 'lost')",
    "UPDATE": "UPDATE orders SET note = 'lost' WHERE tenant_id = 'acme'",
    "DELETE": "DELETE FROM orders WHERE tenant_id = 'acme' AND id = 1",
    "another key": "UPDATE orders SET tenant_id = 'acme', id = 999 WHERE tenant_id = 'globex' AND id = 1",
    "the key away": "UPDATE orders SET tenant_id = 'globex', id = 999 WHERE tenant_id = 'acme' AND id = 1",
    "upsert": "INSERT INTO orders VALUES ('acme', 1, 'lost') ON CONFLICT (tenant_id, id) DO UPDATE SET note = 'lost'",
    "MERGE": "MERGE INTO orders USING (VALUES ('acme', 2)) AS s (t, i) ON tenant_id = t AND id = i"
    " WHEN MATCHED THEN UPDATE SET note = 'lost'",
    "many": "INSERT INTO orders SELECT t, 999, 'lost' FROM (VALUES ('globex'), ('acme')) AS v (t)",
    "caught": "DO $$BEGIN UPDATE orders SET note = 'lost' WHERE tenant_id = 'acme';"
    " EXCEPTION WHEN OTHERS THEN RAISE 'caught %', SQLSTATE; END$$",
}
PATIENT = MoveOptions(grace=30.0, patience=30.0)
"""Nobody is ended for holding up a retirement."""


def rows(pair: Pair) -> None:
    pair.query(
        "left",
        "INSERT INTO orders SELECT t, i, 'x' FROM unnest('{acme,globex}'::text[]) AS t, generate_series(1, 9) AS i",
    )


@pytest.fixture(scope="module")
def with_app(servers: tuple[Server, Server]) -> tuple[Server, Server]:
    """The servers with an application's role, which no sidecar uses."""
    for server in servers:
        server.query(f"CREATE ROLE {APP} LOGIN PASSWORD '{APP}'")
    return servers


@pytest.fixture
def pair(with_app: tuple[Server, Server]) -> Pair:
    pair = Pair.create(with_app, f"{ORDERS} GRANT ALL ON orders TO {APP}")
    rows(pair)
    return pair


def direct(pair: Pair, shard: int = 0) -> "psycopg.Connection[Any]":
    """A session of the application's role on a shard, past the sidecars, in no epoch."""
    dsn = pair.servers[shard].dsn(user=APP, password=APP, dbname=pair.database)
    return psycopg.connect(dsn, autocommit=True)


@pytest.fixture
def early(pair: Pair) -> "Iterator[psycopg.Connection[Any]]":
    """One that was there before everything."""
    with direct(pair) as connection:
        yield connection


def refusal(connection: "psycopg.Connection[Any]", sql: str) -> str | None:
    """The SQLSTATE of a statement's error, and its detail if it has one; None when it is done."""
    try:
        connection.execute(sql)
    except psycopg.Error as error:
        return " ".join(filter(None, (error.sqlstate, error.diag.message_detail)))
    return None


def test_after_the_flip_nothing_is_accepted_and_others_go_on(
    pair: Pair, early: "psycopg.Connection[Any]"
) -> None:
    said: dict[str, str | None] = {}

    def attack() -> None:
        with direct(pair) as late:
            for name, connection in (("early", early), ("late", late)):
                for what, sql in WRITES.items():
                    said[f"{name} {what}"] = refusal(connection, sql)
                with (
                    pytest.raises(psycopg.Error) as failed,
                    connection.cursor().copy("COPY orders FROM STDIN") as copy,
                ):
                    copy.write("globex\t888\tlost\nacme\t888\tlost\n")
                said[f"{name} COPY"] = failed.value.sqlstate
                assert (
                    connection.execute(
                        "UPDATE orders SET note = %s WHERE tenant_id = 'globex' AND id = 2", (name,)
                    ).rowcount
                    == 1
                )

    at = At("verify", attack)
    [outcome] = pair.move("acme", options=PATIENT, report=at)
    assert at.happened
    assert outcome.verified == "exact"
    moved = f"SP001 moved right {pair.map().epoch - 1}"
    for what, found in said.items():
        wanted = "P0001" if "caught" in what else "SP001" if "COPY" in what else moved
        assert found == wanted, what
    assert len(said) == 2 * (len(WRITES) + 1)
    assert pair.query("right", "SELECT DISTINCT tenant_id, note, count(*) FROM orders GROUP BY 1, 2") == [
        ("acme", "x", 9)
    ]
    left = "SELECT note, count(*) FROM orders WHERE tenant_id = 'globex' GROUP BY 1 ORDER BY 1"
    assert pair.query("left", left) == [("late", 1), ("x", 8)]
    assert pair.query("left", "SELECT count(*) FROM orders WHERE tenant_id = 'acme'") == [(0,)]
    assert early.execute("SELECT 1").fetchone() == (1,)
    assert pair.left_behind() == []


@pytest.mark.parametrize("step", ["follow", "arrive"])
def test_before_the_flip_the_source_takes_writes_until_the_rows_are_fenced(
    pair: Pair, early: "psycopg.Connection[Any]", step: str
) -> None:
    said: list[str | None] = []
    at = At(step, lambda: said.append(refusal(early, WRITES["UPDATE"])))
    [outcome] = pair.move("acme", options=PATIENT, report=at)
    assert said == [None if step == "follow" else "SP001 fenced right"]
    assert outcome.verified == "exact"
    note = "lost" if step == "follow" else "x"
    assert pair.query("right", "SELECT DISTINCT note FROM orders") == [(note,)]
    assert pair.left_behind() == []


def test_a_direct_transaction_that_has_written_holds_the_cut_over_up(
    pair: Pair, early: "psycopg.Connection[Any]"
) -> None:
    def end_it(progress: Progress) -> None:
        begins(progress)
        if progress.step == "fence" and "in use" in progress.what:
            assert f"pid {early.info.backend_pid}" in progress.what
            early.execute("COMMIT")

    begins = At("follow", lambda: early.execute(f"BEGIN; {WRITES['INSERT']}"), "close")
    [outcome] = pair.move("acme", options=PATIENT, report=end_it)
    assert outcome.verified == "exact"
    assert pair.query("right", "SELECT note FROM orders WHERE id = 999") == [("lost",)]
    assert early.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("sql", [WRITES["UPDATE"], WRITES["INSERT"]])
def test_a_snapshot_from_before_the_fence_does_not_write_after_it(
    pair: Pair, early: "psycopg.Connection[Any]", level: str, sql: str
) -> None:
    said: list[str | None] = []
    begin = At("copy", lambda: early.execute(f"BEGIN ISOLATION LEVEL {level}; SELECT FROM orders"))

    def write() -> None:
        said.append(refusal(early, sql))
        early.execute("ROLLBACK")

    write_late = At("verify", write)
    [outcome] = pair.move(
        "acme", options=PATIENT, report=lambda progress: (begin(progress), write_late(progress))
    )
    assert said == ["40001"]
    assert outcome.verified == "exact"
    assert pair.query("right", "SELECT DISTINCT note FROM orders") == [("x",)]


def test_a_snapshot_from_before_the_move_does_not_write_at_all(pair: Pair) -> None:
    """In epoch 0, so that no retirement waits for it."""
    with psycopg.connect(pair.servers[0].dsn(dbname=pair.database), autocommit=True) as old:
        old.execute("SELECT shardproxy.enter(0, NULL)")
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM orders")
        said: list[str | None] = []

        def write() -> None:
            said.append(refusal(old, WRITES["UPDATE"]))
            old.execute("ROLLBACK")

        [outcome] = pair.move("acme", options=PATIENT, report=At("copy", write))
    assert said == ["40001"]
    assert outcome.verified == "exact"


def test_a_key_that_another_trigger_sets_is_seen(pair: Pair, early: "psycopg.Connection[Any]") -> None:
    pair.both(
        "CREATE FUNCTION rename() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN NEW.tenant_id := 'acme'; NEW.id := NEW.id + 1000; RETURN NEW; END$$;"
        "CREATE TRIGGER zz_last BEFORE INSERT ON orders FOR EACH ROW WHEN (NEW.note = 'rename')"
        " EXECUTE FUNCTION rename()"
    )
    said: list[str | None] = []
    write = At(
        "verify", lambda: said.append(refusal(early, "INSERT INTO orders VALUES ('globex', 7000, 'rename')"))
    )
    pair.move("acme", options=PATIENT, report=write)
    assert len(said) == 1
    assert str(said[0]).startswith("SP001 moved")
    assert pair.query("left", "SELECT count(*) FROM orders WHERE note = 'rename'") == [(0,)]


def test_truncate_is_refused_as_long_as_the_move_lasts(pair: Pair) -> None:
    said: list[str | None] = []
    with psycopg.connect(pair.servers[0].dsn(dbname=pair.database), autocommit=True) as owner:
        owner.execute("SELECT shardproxy.enter(0, NULL)")
        steps = [
            At(step, lambda: said.append(refusal(owner, "TRUNCATE orders"))) for step in ("copy", "verify")
        ]
        pair.move("acme", options=PATIENT, report=lambda progress: [each(progress) for each in steps])
        assert said == ["55006 Rows of it are on their way to another shard in move 1."] * 2
        assert pair.query("right", "SELECT count(*) FROM orders") == [(9,)]
        assert refusal(owner, "TRUNCATE orders") is None


PARTS = (
    "CREATE TABLE orders (tenant_id text, id int, note text, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id);"
    "CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (500);"
    "CREATE TABLE high PARTITION OF orders FOR VALUES FROM (500) TO (10000) PARTITION BY RANGE (id);"
    "CREATE TABLE highest PARTITION OF high DEFAULT;"
)


def test_partitions_are_fenced_by_whatever_name_they_are_written(with_app: tuple[Server, Server]) -> None:
    pair = Pair.create(with_app, f"{PARTS} GRANT ALL ON orders, low, high, highest TO {APP}")
    rows(pair)
    said: list[str | None] = []
    with (
        direct(pair) as early,
        psycopg.connect(pair.servers[0].dsn(dbname=pair.database), autocommit=True) as owner,
    ):
        owner.execute("SELECT shardproxy.enter(0, NULL)")

        def attack() -> None:
            said.extend(refusal(early, sql) for sql in WRITES.values())
            said.append(refusal(early, "INSERT INTO highest VALUES ('acme', 999, 'lost')"))
            said.append(refusal(early, "UPDATE orders SET id = id + 600 WHERE tenant_id = 'acme'"))
            assert (
                refusal(early, "UPDATE orders SET id = id + 600 WHERE tenant_id = 'globex' AND id = 3")
                is None
            )
            for table in ("orders", "low", "high", "highest"):
                assert str(refusal(owner, f"TRUNCATE {table}")).startswith("55006")

        [outcome] = pair.move("acme", options=PATIENT, report=At("verify", attack))
    assert outcome.verified == "exact"
    assert len(said) == len(WRITES) + 2
    assert {str(each)[:5] for each in said} == {"SP001", "P0001"}
    assert pair.query("right", "SELECT DISTINCT note, count(*) FROM orders GROUP BY 1") == [("x", 9)]
    assert pair.left_behind() == []


def test_buckets_are_fenced_and_the_tenants_beside_them_are_not(
    pair: Pair, early: "psycopg.Connection[Any]"
) -> None:
    moving = bucket(KeyFamily.TEXT, b"acme")
    assert moving != bucket(KeyFamily.TEXT, b"globex")
    said: list[str | None] = []

    def attack() -> None:
        said.extend(refusal(early, sql) for sql in WRITES.values())
        assert early.execute("UPDATE orders SET note = 'kept' WHERE tenant_id = 'globex'").rowcount == 9

    pair.move(Buckets((moving,)), options=PATIENT, report=At("verify", attack))
    assert {str(each)[:5] for each in said} == {"SP001", "P0001"}
    assert pair.query("left", "SELECT DISTINCT tenant_id, note FROM orders") == [("globex", "kept")]


def test_after_an_abort_nothing_stands_on_the_tables(pair: Pair, early: "psycopg.Connection[Any]") -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        pair.move("acme", options=PATIENT, report=At("follow", stop, "close"))
    assert len(pair.query("left", "SELECT tgname FROM pg_trigger WHERE tgname ~ '^shardproxy_move_1_'")) == 4
    assert refusal(early, "TRUNCATE orders") is not None
    run(rebalance.abort(pair.installation(), 1), 60)
    assert pair.left_behind() == []
    assert early.execute(WRITES["UPDATE"]).rowcount == 9


def test_who_uses_the_table_is_told_and_not_made_to_wait_long(
    pair: Pair, early: "psycopg.Connection[Any]"
) -> None:
    """A writer before the triggers, and a reader, whom the mover need not ask before they are taken down."""
    said: list[str] = []

    def note(progress: Progress) -> None:
        for each in (write, read):
            each(progress)
        if "to lock orders" in progress.what:
            said.append(progress.what)
            assert f"pid {user.info.backend_pid}, postgres" in progress.what
            early.execute("SET lock_timeout = '1s'")
            early.execute("UPDATE orders SET note = 'y' WHERE tenant_id = 'globex' AND id = 5")
            user.execute("COMMIT")

    with psycopg.connect(pair.servers[0].dsn(dbname=pair.database), autocommit=True) as user:
        user.execute("SELECT shardproxy.enter(0, NULL)")
        write = At(
            "retire",
            lambda: user.execute("BEGIN; UPDATE orders SET note = 'z' WHERE tenant_id = 'globex' AND id = 1"),
        )
        read = At("settle", lambda: user.execute("BEGIN; SELECT FROM orders"))
        pair.move("acme", options=PATIENT, report=note)
    assert len(said) == 2
    assert all("for 50 ms at a time" in each for each in said)
    assert pair.left_behind() == []


def test_a_table_that_is_always_in_use_stops_the_move_by_name(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_fence, "PATIENCE", 0.3)
    with psycopg.connect(pair.servers[0].dsn(dbname=pair.database), autocommit=True) as user:
        user.execute("SELECT shardproxy.enter(0, NULL)")
        user.execute("BEGIN; UPDATE orders SET note = 'z' WHERE tenant_id = 'globex' AND id = 1")
        with pytest.raises(TableInUse, match="orders was in use") as stopped:
            pair.move("acme", options=PATIENT)
        assert f"pid {user.info.backend_pid}" in str(stopped.value.detail)
    assert run(rebalance.resume(pair.installation(), 1), 60).verified == "exact"
    assert pair.left_behind() == []
