"""Rows of every kind arrive exactly as they were: by the copy, and by the stream behind it."""

from shardproxy.catalog.journal import Buckets, Keys
from shardproxy.demo.postgres import Server
from shardproxy.topology.keys import KeyFamily, bucket
from shardproxy.topology.tables import Sharded, TableRule
from tests.rebalance.listening import At
from tests.rebalance.pair import Pair

TENANT = Sharded("tenant_id", "tenant")

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE point3 AS (x int, y numeric, z mood);
CREATE DOMAIN short AS varchar(5) CHECK (value <> '');
CREATE EXTENSION hstore;
CREATE TABLE plain (
    tenant_id text, id int, a bigint, b numeric, c float8, d float4, e timestamptz, f interval, g bytea, h jsonb,
    i uuid, j int[], k text[][], l inet, m int4range, n time, o money, p bit(3), q "char", r bool, s date,
    PRIMARY KEY (tenant_id, id));
CREATE TABLE special (
    tenant_id text, id int, a mood, b mood[], c point3, d short, e regclass, f hstore, PRIMARY KEY (tenant_id, id));
CREATE TABLE "Odd ""table" (
    "next" text, "Some column" int, gone text, "sum" int GENERATED ALWAYS AS ("Some column" * 2) STORED,
    number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY ("next", "Some column"));
ALTER TABLE "Odd ""table" DROP COLUMN gone;
CREATE TABLE big (tenant_id text, id int, doc text, PRIMARY KEY (tenant_id, id));
"""
RULES: dict[str, TableRule] = {
    "plain": TENANT,
    "special": TENANT,
    'Odd "table': Sharded("next", "tenant"),
    "big": TENANT,
}
TABLES = ("plain", "special", '"Odd ""table"', "big")


def fill(first: int) -> str:
    """Some rows of every table, with ids from ``first`` on."""
    return f"""
    INSERT INTO plain VALUES
        ('acme', {first}, 9223372036854775807, 'NaN', 'Infinity', 0.1, 'infinity', '1 mon -2 days 3.5s', '\\x00ff', '{{"a": [1, null]}}',
         gen_random_uuid(), '{{1,NULL,3}}', '{{{{a,b}},{{"c\\"",""}}}}', '::1/64', '[1,5)', '24:00', '12.34', B'101', 'x', true, 'infinity'),
        ('acme', {first} + 1, NULL, NULL, '-0', 'NaN', '2026-01-01 12:00:00.123456+05:30', NULL, '', 'null', NULL, '{{}}', NULL, NULL, 'empty',
         NULL, NULL, NULL, NULL, NULL, '0044-03-15 BC'),
        ('acme', {first} + 2, 1, 1e300, 1e-300, 1.17549e-38, 'epoch', 'P1Y', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO special VALUES
        ('acme', {first}, 'happy', '{{sad,ok}}', ROW(1, 2.5, 'sad'), 'abc', 'plain', 'a=>1,b=>NULL'),
        ('acme', {first} + 1, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO "Odd ""table" ("next", "Some column") SELECT 'acme', i FROM generate_series({first}, {first} + 20) AS i;
    INSERT INTO big SELECT 'acme', {first} + i, string_agg(md5(i::text || j::text), '') FROM generate_series(1, 5) AS i,
        generate_series(1, 5000) AS j GROUP BY i;
    INSERT INTO plain (tenant_id, id) VALUES ('acme ', {first}), ('ACME', {first}), ('globex', {first});
    """


def rows(pair: Pair, shard: str, table: str, key: str = "'acme'") -> list[tuple[str]]:
    column = '"next"' if "Odd" in table else "tenant_id"
    return pair.query(shard, f"SELECT t::text FROM {table} AS t WHERE {column} = {key} ORDER BY 1")


def test_rows_of_all_types(servers: tuple[Server, Server]) -> None:
    """Half of them come by the copy, half by the stream."""
    pair = Pair.create(servers, TYPES, RULES)
    pair.query("right", "CREATE TABLE unrelated (id int)")  # so that OIDs differ
    pair.query(
        "right",
        "DROP TABLE unrelated; DROP TYPE point3 CASCADE; CREATE TYPE point3 AS (x int, y numeric, z mood)",
    )
    pair.query("right", "ALTER TABLE special ADD c point3")
    pair.query("right", "ALTER TABLE special DROP d, DROP e, DROP f")
    pair.query("right", "ALTER TABLE special ADD d short, ADD e regclass, ADD f hstore")
    pair.query("left", fill(1))
    before = {table: rows(pair, "left", table) for table in TABLES}
    at = At("copy", lambda: pair.query("left", fill(100)), "copied")
    [outcome] = pair.move("acme", report=at)
    assert at.happened
    assert outcome.verified == "exact"
    for table in TABLES:
        after = rows(pair, "right", table)
        assert len(after) == 2 * len(before[table])
        assert set(before[table]) <= set(after)
        assert rows(pair, "left", table) == []
    assert pair.query("left", "SELECT DISTINCT tenant_id FROM plain ORDER BY 1") == [
        ("ACME",),
        ("acme ",),
        ("globex",),
    ]


HOSTILE = [
    "it's",
    'a "b"',
    "back\\slash",
    "\\'; DROP TABLE orders; --",
    "Ünï¢ødé 🐘",
    "%s $1 {0}",
    "new\nline",
    "E'x'",
    "",
]


def test_keys_with_every_character(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers)
    for number, name in enumerate(HOSTILE):
        pair.query("left", "INSERT INTO orders VALUES (%s, %s, 'x')", name, number)
    pair.query("left", "INSERT INTO orders VALUES ('stays', 1, 'x')")
    at = At("follow", lambda: pair.query("left", "UPDATE orders SET note = 'y'"), "close")
    [outcome] = pair.move(Keys("tenant", tuple(HOSTILE)), report=at)
    assert outcome.rows == len(HOSTILE)
    found = pair.query("right", "SELECT tenant_id, note FROM orders ORDER BY id")
    assert found == [(name, "y") for name in HOSTILE]
    assert pair.query("left", "SELECT tenant_id FROM orders") == [("stays",)]


def test_partitioned_tables(servers: tuple[Server, Server]) -> None:
    """Also with partitions of partitions, and rows that go from one to another meanwhile."""
    pair = Pair.create(
        servers,
        "CREATE TABLE orders (tenant_id text, id int, note text, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF orders FOR VALUES FROM (0) TO (50);"
        "CREATE TABLE high PARTITION OF orders FOR VALUES FROM (50) TO (200) PARTITION BY LIST (tenant_id);"
        "CREATE TABLE high_acme PARTITION OF high FOR VALUES IN ('acme');"
        "CREATE TABLE high_others PARTITION OF high DEFAULT",
    )
    pair.query(
        "left",
        "INSERT INTO orders SELECT t, i, 'x' FROM generate_series(1, 99) AS i, (VALUES ('acme'), ('globex')) AS v (t)",
    )

    def change() -> None:
        pair.query("left", "UPDATE orders SET note = 'y' WHERE id > 90")
        pair.query("left", "UPDATE orders SET id = id + 100 WHERE id < 5")
        pair.query("left", "DELETE FROM orders WHERE id = 60")

    [outcome] = pair.move("acme", report=At("follow", change, "close"))
    assert outcome.verified == "exact"
    count = "SELECT tenant_id, count(*), sum(id) FROM orders GROUP BY 1"
    there, stayed = pair.query("right", count), pair.query("left", count)
    assert there == [("acme", *stayed[0][1:])]
    assert stayed[0][0] == "globex"


GROUPS = """
CREATE TABLE readings (device int, at int, PRIMARY KEY (device, at));
CREATE TABLE devices (device bigint PRIMARY KEY);
CREATE TABLE docs (doc uuid PRIMARY KEY);
CREATE TABLE orders (tenant_id text, id int, PRIMARY KEY (tenant_id, id));
"""
GROUP_RULES: dict[str, TableRule] = {
    "readings": Sharded("device", "device"),
    "devices": Sharded("device", "device"),
    "docs": Sharded("doc", "doc"),
    "orders": TENANT,
}


def test_keys_of_other_groups(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers, GROUPS, GROUP_RULES)
    pair.query(
        "left",
        "INSERT INTO devices SELECT generate_series(-5, 5); INSERT INTO readings SELECT device, 1 FROM devices",
    )
    pair.query(
        "left", "INSERT INTO docs VALUES ('00000000-0000-0000-0000-000000000001'), (gen_random_uuid())"
    )
    [outcome] = pair.move(Keys("device", ("-5", "3")))
    assert outcome.rows == 4
    assert pair.query("right", "SELECT device FROM readings ORDER BY 1") == [(-5,), (3,)]
    pair.move(Keys("doc", ("00000000-0000-0000-0000-000000000001",)))
    assert pair.query("right", "SELECT doc::text FROM docs") == [("00000000-0000-0000-0000-000000000001",)]
    assert pair.query("left", "SELECT count(*) FROM docs") == [(1,)]


def test_buckets_take_along_what_is_in_them_of_every_group(servers: tuple[Server, Server]) -> None:
    """Also what is born meanwhile; not what has a placement."""
    pair = Pair.create(servers, GROUPS, GROUP_RULES)
    pair.query(
        "left",
        "INSERT INTO devices SELECT generate_series(1, 500); INSERT INTO docs SELECT gen_random_uuid() FROM devices",
    )
    pair.query("left", "INSERT INTO orders SELECT 't' || device, 1 FROM devices")
    pair.move(Keys("tenant", ("t1", "t2")))
    pair.move(Keys("tenant", ("t1",)), "left")
    some = frozenset(range(0, 16_384, 3)) | {bucket(KeyFamily.TEXT, b"t2")} - {bucket(KeyFamily.TEXT, b"t1")}
    pair.move(Keys("tenant", ("t2",)), "left")
    born = "INSERT INTO devices SELECT generate_series(501, 600); INSERT INTO orders SELECT 't' || i, 2 FROM generate_series(1, 600) AS i"
    [outcome] = pair.move(
        Buckets(tuple(sorted(some))), report=At("copy", lambda: pair.query("left", born), "copied")
    )
    assert outcome.verified == "exact"
    shard_map = pair.map()
    assert {number for number, owner in enumerate(shard_map.owners) if owner == 1} == some
    for index, shard in enumerate(("left", "right")):
        for (device,) in pair.query(shard, "SELECT device FROM devices"):
            assert shard_map.owner("device", KeyFamily.INTEGER, device) == index
        for (tenant,) in pair.query(shard, "SELECT tenant_id FROM orders"):
            assert shard_map.owner("tenant", KeyFamily.TEXT, tenant.encode()) == index
    total = sum(pair.query(shard, "SELECT count(*) FROM orders")[0][0] for shard in ("left", "right"))
    assert total == 500 + 600
    assert pair.left_behind() == []


def test_sequences_are_ahead_of_what_moved(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(
        servers,
        "CREATE SEQUENCE shared; CREATE SEQUENCE down INCREMENT -1 MINVALUE -2000000 MAXVALUE 0 START -1;"
        "CREATE TABLE orders (tenant_id text, id bigserial, a int GENERATED BY DEFAULT AS IDENTITY,"
        " b bigint DEFAULT nextval('shared'), c int DEFAULT nextval('down'), PRIMARY KEY (tenant_id, id))",
    )
    pair.query("left", "INSERT INTO orders (tenant_id) SELECT 'acme' FROM generate_series(1, 500)")
    pair.query("right", "SELECT setval('shared', 1000000)")
    at = At(
        "fence",
        lambda: pair.query(
            "left", "INSERT INTO orders (tenant_id) SELECT 'acme' FROM generate_series(1, 20000)"
        ),
    )
    pair.move("acme", report=at)
    most = pair.query("right", "SELECT max(id), max(a), max(b), min(c) FROM orders")[0]
    [made] = pair.query("right", "INSERT INTO orders (tenant_id) VALUES ('acme') RETURNING id, a, b, c")
    assert made[0] > most[0] == 20_500
    assert made[1] > most[1] == 20_500
    assert made[2] == 1_000_001
    assert made[3] < most[3] == -20_500
