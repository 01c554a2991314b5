"""Conversations that try to read the wrong rows: each is a connection of its own, statement by statement.

``acme`` and ``wayne`` are tenants of one shard, ``globex`` and ``initech`` of two others. A conversation ends with the
first statement that is refused. ``ANSWERED`` are answered to the end, ``REFUSED`` are refused somewhere.
"""

_MINE = "CREATE TEMP TABLE mine AS SELECT * FROM orders WHERE tenant_id = 'acme'"
_COUNT = "SELECT count(*) FROM orders WHERE tenant_id = 'acme'"

TABLES = {
    "attack.measures": {"key": "device_id", "group": "device"},
    "attack.base": {"key": "tenant_id"},
    "attack.mixed": "reference",
    "attack.shelf": "reference",
    "attack.mixed_child": {"key": "tenant_id"},
    "attack.watched": {"key": "tenant_id"},
    "attack.watched_reference": "reference",
    "attack.own": {"key": "tenant_id"},
    "attack.currencies": "reference",
    "locked.orders": "reference",
}
"""What the configuration says of ``attack_schema.sql``."""

ANSWERED: tuple[tuple[str, ...], ...] = (
    # --- functions that read nothing, views that only narrow -----------------------------------------------------------
    ("SELECT attack.twice(order_id) FROM orders WHERE tenant_id = 'acme'",),
    ("SELECT attack.plain(order_id) FROM orders WHERE tenant_id = 'acme'",),
    ("SELECT attack.plain(1)",),
    ("SELECT attack.summed(order_id) FROM orders WHERE tenant_id = 'acme'",),
    ("SELECT count(*) FROM attack.guarded WHERE tenant_id = 'acme'",),
    ("SELECT count(*) FROM attack.nested WHERE tenant_id = 'globex'",),
    ("SELECT n FROM attack.counted WHERE tenant_id = 'acme'",),
    ("SELECT count(*) FROM attack.renamed WHERE key = 'acme'",),
    (
        "SELECT o.version, (o).version, age(o.placed_at, o.placed_at) FROM orders o WHERE o.tenant_id = 'acme'",
    ),
    # --- partitions, inheritance, row security ------------------------------------------------------------------------
    ("SELECT count(*) FROM attack.measures WHERE device_id = 1", "SELECT * FROM attack.measures_1"),
    ("SELECT device_id, count(*) FROM attack.measures GROUP BY 1",),
    (
        "SELECT tenant_id, a FROM attack.base",
        "SELECT count(*) FROM ONLY attack.base WHERE tenant_id = 'globex'",
    ),
    ("SELECT count(*) FROM attack.child WHERE tenant_id = 'acme'", "SELECT tenant_id, b FROM attack.child"),
    ("SELECT count(*) FROM attack.own WHERE tenant_id = 'acme'", "SELECT tenant_id FROM attack.own"),
    # --- names --------------------------------------------------------------------------------------------------------
    ("SELECT orders.order_id FROM orders orders WHERE orders.tenant_id = 'acme'",),
    ("SELECT customers.total FROM orders customers WHERE customers.tenant_id = 'acme'",),
    ('SELECT "o O".order_id FROM public."orders" AS "o O" WHERE "o O"."tenant_id" = \'acme\'',),
    ("SELECT tid FROM orders AS o (tid, oid) WHERE tid = 'acme' AND oid < 3",),
    ("SELECT public.orders.order_id FROM public.orders WHERE public.orders.tenant_id = 'acme'",),
    ("SELECT shop.public.orders.order_id FROM shop.public.orders WHERE tenant_id = 'acme'",),
    ("WITH orders AS (SELECT 1 AS n) SELECT n FROM orders",),
    ("WITH orders AS (SELECT * FROM orders WHERE tenant_id = 'acme') SELECT count(*) FROM orders",),
    ("SELECT count(*) FROM (SELECT tenant_id AS x, order_id AS tenant_id FROM orders) s WHERE x = 'acme'",),
    # --- search_path --------------------------------------------------------------------------------------------------
    ("SET search_path = attack, public", "SELECT count(*) FROM public.orders WHERE tenant_id = 'acme'"),
    ("SET search_path = PUBLIC", _COUNT),
    ("SET search_path = attack", "RESET search_path", _COUNT),
    ("SET search_path = attack", "DISCARD ALL", _COUNT),
    ("BEGIN", "SET search_path = attack", "ROLLBACK", _COUNT),
    ("BEGIN", "SAVEPOINT a", "SET search_path = attack", "ROLLBACK TO a", _COUNT, "COMMIT", _COUNT),
    ("BEGIN", "SELECT set_config('search_path', 'attack', true)", "COMMIT", _COUNT),
    (
        "SET search_path = ''",
        "SELECT count(*) FROM public.orders WHERE tenant_id = 'acme'",
        "SELECT * FROM orders",
    ),
    ("SET search_path = nowhere", "SELECT count(*) FROM orders"),
    (
        "SET search_path = locked, public",
        *(
            f"SELECT count(*) FROM orders WHERE tenant_id = '{tenant}'"
            for tenant in ("acme", "globex", "initech")
        ),
    ),
    # --- temporary tables, cursors, prepared statements, several statements -------------------------------------------
    (
        _MINE,
        "SELECT count(*) FROM mine",
        "SELECT count(*) FROM mine m JOIN orders o USING (tenant_id, order_id) WHERE o.tenant_id = 'acme'",
        "TRUNCATE mine",
        "SELECT count(*) FROM mine",
        "DROP TABLE mine",
        "TABLE mine",
    ),
    ("SELECT * INTO TEMP mine FROM orders WHERE tenant_id = 'globex'", "SELECT count(*) FROM mine"),
    (
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT order_id FROM orders WHERE tenant_id = 'acme' ORDER BY 1",
        "FETCH 3 FROM c",
        "MOVE 2 IN c",
        "FETCH 1 c",
        "CLOSE c",
        "COMMIT",
    ),
    ("PREPARE p AS SELECT name FROM currencies WHERE currency = $1", "EXECUTE p('EUR')", "DEALLOCATE p"),
    (
        "SELECT count(*) FROM orders WHERE tenant_id = 'acme'; SELECT count(*) FROM orders WHERE tenant_id = 'globex'",
    ),
    ("COPY (SELECT order_id FROM orders WHERE tenant_id = 'nobody') TO STDOUT",),
    # --- literals: one shape, several meanings ------------------------------------------------------------------------
    (
        "SELECT model FROM devices WHERE device_id = -1",
        "SELECT model FROM devices WHERE device_id = - 1",
        "SELECT model FROM devices WHERE device_id = -/**/1",
        "SELECT model FROM devices WHERE device_id = 1",
        "SELECT model FROM devices WHERE device_id = '1'",
        "SELECT model FROM devices WHERE device_id = '-1'",
    ),
    (
        "SELECT count(*) FROM orders WHERE tenant_id = 'acme'",
        "SELECT count(*) FROM orders WHERE tenant_id = E'\\x61cme'",
        "SELECT count(*) FROM orders WHERE tenant_id = U&'\\0061cme'",
        "SELECT count(*) FROM orders WHERE tenant_id = $$acme$$",
        "SELECT count(*) FROM orders WHERE tenant_id = $a$acme$a$",
        "SELECT count(*) FROM orders WHERE tenant_id = 'ac'\n'me'",
        "SELECT count(*) FROM orders WHERE tenant_id = 'acme' -- 'globex'",
        "SELECT count(*) FROM orders WHERE tenant_id = /* 'globex' /* nested */ */ 'globex'",
        "SELECT count(*) FROM orders WHERE tenant_id = 'it''s'",
        "SELECT count(*) FROM orders WHERE tenant_id = ''",
    ),
    (
        "SELECT tenant_id, status, count(*) FROM orders WHERE tenant_id IN ('acme', 'globex') GROUP BY 1, 2",
        "SELECT tenant_id, status, count(*) FROM orders WHERE tenant_id IN ('acme', 'wayne') GROUP BY 2, 1",
    ),
    (
        "SELECT order_id FROM orders WHERE tenant_id = 'acme' ORDER BY 1 LIMIT 1",
        "SELECT order_id FROM orders WHERE tenant_id = 'acme' ORDER BY 1 LIMIT 2",
        "SELECT order_id FROM orders WHERE tenant_id = 'globex' ORDER BY 1 LIMIT 2 OFFSET 1",
    ),
    (
        "SELECT order_id, total FROM orders WHERE tenant_id = 'acme' ORDER BY 1 LIMIT 3",
        "SELECT order_id, total FROM orders WHERE tenant_id = 'acme' ORDER BY 2, 1 LIMIT 3",
    ),
    (
        "SELECT count(*) FROM orders WHERE tenant_id = 'acme' AND placed_at > '2025-01-02'",
        "SELECT count(*) FROM orders WHERE tenant_id = 'acme' AND placed_at > timestamptz '2025-01-02' + interval '1' day",
        "SELECT count(*) FROM orders WHERE tenant_id = 'acme' AND placed_at > timestamptz '2025-01-02' + interval '1' month",
    ),
    (
        "SELECT attributes -> 'colour' FROM products WHERE tenant_id = 'acme'",
        "SELECT attributes -> 'weight_g' FROM products WHERE tenant_id = 'acme'",
        "SELECT attributes -> 0 FROM products WHERE tenant_id = 'acme'",
        "SELECT jsonb_path_query(attributes, '$.colour') FROM products WHERE tenant_id = 'globex'",
    ),
    ("SELECT 1.0::numeric(3, 1), 'x'::varchar(1)", "SELECT 1.0::numeric(3, 2), 'x'::varchar(2)"),
    (
        "SELECT count(*) FROM devices WHERE device_id = 007",
        "SELECT count(*) FROM devices WHERE device_id = 0x5",
    ),
    # --- changes ------------------------------------------------------------------------------------------------------
    (
        "BEGIN",
        "WITH c AS (UPDATE orders SET note = 'globex' WHERE tenant_id = 'acme' RETURNING tenant_id, note)"
        " SELECT count(*) FROM c JOIN customers k ON k.tenant_id = c.tenant_id",
        "ROLLBACK",
    ),
    (
        "BEGIN",
        "INSERT INTO public.coupons VALUES ('acme', 'X', 1), ('acme', 'WELCOME1', 2) ON CONFLICT (tenant_id, code)"
        " DO UPDATE SET percent = (SELECT count(*) FROM orders o WHERE o.tenant_id = excluded.tenant_id)"
        " RETURNING percent, (SELECT count(*) FROM orders o WHERE o.tenant_id = coupons.tenant_id)",
        "ROLLBACK",
    ),
    (
        "BEGIN",
        "INSERT INTO public.coupons SELECT tenant_id, 'O' || order_id, 1 FROM orders WHERE tenant_id = 'globex'"
        " RETURNING code",
        "ROLLBACK",
    ),
    (
        "BEGIN",
        "MERGE INTO public.coupons c USING customers k ON c.tenant_id = k.tenant_id AND k.tenant_id = 'acme' AND"
        " c.tenant_id = 'acme' AND k.customer_id = 1 WHEN MATCHED THEN UPDATE SET percent = 9",
        "ROLLBACK",
    ),
    (
        "BEGIN",
        "DELETE FROM order_events WHERE tenant_id = 'acme' AND order_id = -1",
        "UPDATE orders SET (note, version) = ('x', version)"
        " WHERE tenant_id = 'acme' AND order_id = 1 RETURNING note",
        "ROLLBACK",
    ),
)

REFUSED: tuple[tuple[str, ...], ...] = (
    # --- functions that read tables -----------------------------------------------------------------------------------
    *(
        (f"SELECT {call} FROM tenants x WHERE tenant_id = 'acme'",)
        for call in (
            *(
                "attack.count_orders()",
                "attack.count_slowly()",
                "attack.count_atomically()",
                "attack.indirect()",
            ),
            *("attack.dynamic('orders')", "attack.summed_up(1)", "1::bigint OPERATOR(attack.<+>) 1::bigint"),
            *("(SELECT attack.count_orders())", "shop.attack.count_orders()"),
        )
    ),
    ("SELECT attack.count_orders()",),
    ("SELECT * FROM attack.count_orders()",),
    ("SELECT count(*) FROM attack.every_order() r WHERE r.tenant_id = 'acme'",),
    ("SELECT attack.neighbours(o) FROM orders o WHERE tenant_id = 'acme'",),
    ("SET search_path = public, attack", "SELECT o.neighbours FROM orders o WHERE tenant_id = 'acme'"),
    ("SET search_path = public, attack", "SELECT (o).neighbours FROM orders o WHERE tenant_id = 'acme'"),
    ("SET search_path = public, attack", "SELECT order_id <+> 1 FROM orders WHERE tenant_id = 'acme'"),
    ("SELECT currency FROM attack.calling",),
    ("SELECT 1 FROM currencies WHERE attack.count_orders() > 0",),
    ("INSERT INTO public.coupons VALUES ('acme', 'N', attack.count_orders())",),
    ("UPDATE orders SET note = attack.count_orders() WHERE tenant_id = 'acme'",),
    ("CALL attack.act()",),
    ("SELECT attack.summed(order_id) FROM orders",),
    ("SELECT shop.pg_catalog.query_to_xml('SELECT * FROM orders', true, true, '')",),
    ("SELECT shop.pg_catalog.lo_create(0)",),
    ("SELECT table_to_xml('orders', true, true, '')",),
    ("SELECT ('orders_order_id_seq'::regclass).nextval",),
    ("SELECT currval('orders_order_id_seq')",),
    ("SELECT last_value FROM orders_order_id_seq",),
    # --- types of users -----------------------------------------------------------------------------------------------
    ("SELECT count(*) FROM orders WHERE tenant_id = 'acme'::attack.code",),
    ("SELECT count(*) FROM orders WHERE tenant_id::attack.code = 'acme'",),
    ("SELECT count(*) FROM orders WHERE tenant_id = 'acme'::attack.mood::text",),
    # --- views, partitions, inheritance, row security -----------------------------------------------------------------
    ("SELECT count(*) FROM attack.latest WHERE tenant_id = 'acme'",),
    ("SELECT * FROM attack.renamed WHERE tenant_id = 'acme'",),
    ("SELECT count(*) FROM attack.frozen WHERE tenant_id = 'acme'",),
    ("SELECT count(*) FROM attack.measures",),
    ("SELECT tenant_id, tableoid::regclass::text FROM attack.base",),
    ("SELECT count(*) FROM attack.mixed",),
    ("SELECT count(*) FROM attack.shelf",),
    ("SELECT count(*) FROM attack.watched WHERE tenant_id = 'acme'",),
    ("SELECT tenant_id FROM attack.watched",),
    ("SELECT count(*) FROM attack.watched_reference",),
    ("COPY attack.watched_reference TO STDOUT",),
    # --- names and the search_path ------------------------------------------------------------------------------------
    (
        "SELECT count(*) FROM coupons WHERE tenant_id = 'acme'",
    ),  # "$user" comes first, and app.coupons is no sharded table
    ("SELECT count(*) FROM attack.orders WHERE tenant_id = 'acme'",),
    *(
        (*way, _COUNT)
        for way in (
            ("SET search_path = attack, public",),
            ("SET SESSION search_path TO 'attack'",),
            ("SET SCHEMA 'attack'",),
            ("SELECT set_config('search_path', 'attack', false)",),
            ("SELECT pg_catalog.set_config('search_path'::text, 'attack', false)",),
            ("SELECT set_config('search_path', 'att' || 'ack', false)",),
            ("SELECT set_config('search_path', v, false) FROM (VALUES ('attack')) x (v)",),
            ("UPDATE pg_settings SET setting = 'attack' WHERE name = 'search_path'",),
            ("BEGIN", "SET LOCAL search_path = attack"),
            ("BEGIN", "SELECT set_config('search_path', 'attack', true)"),
            ("BEGIN", "SET search_path = attack", "COMMIT"),
        )
    ),
    ("SET search_path = attack; " + _COUNT,),
    ("SELECT 1; SET search_path = attack; " + _COUNT,),
    ("BEGIN; SET LOCAL search_path = attack; " + _COUNT + "; COMMIT",),
    ("SELECT set_config('search_path', 'attack', false); " + _COUNT,),
    ("CREATE TEMP TABLE orders (tenant_id text)",),
    ("CREATE TABLE pg_temp.orders AS SELECT 1 AS tenant_id",),
    ("SELECT 1 AS tenant_id INTO TEMP orders",),
    ("CREATE TEMP VIEW mine AS SELECT * FROM orders",),
    # --- how text is read ---------------------------------------------------------------------------------------------
    *(
        (f"SET {setting}",)
        for setting in (
            *(
                "standard_conforming_strings = off",
                "standard_conforming_strings = n",
                "standard_conforming_strings TO fa",
            ),
            *("array_nulls = off", "transform_null_equals = on", "transform_null_equals = yes"),
            *("client_encoding = latin1", "NAMES 'sjis'", "SESSION AUTHORIZATION app"),
        )
    ),
    ("SELECT set_config('standard_conforming_strings', 'off', false)",),
    ("SELECT set_config('client_encoding', 'latin1', false)",),
    ("BEGIN", "SET LOCAL standard_conforming_strings = off"),
    # --- several shards, piece by piece -------------------------------------------------------------------------------
    ("BEGIN", _COUNT, "SELECT count(*) FROM orders WHERE tenant_id = 'globex'"),
    ("BEGIN", _COUNT, "SELECT tenant_id FROM tenants"),
    ("BEGIN", "SELECT count(*) FROM orders WHERE tenant_id = 'globex'", "SELECT count(*) FROM audit"),
    ("BEGIN", "DECLARE c CURSOR FOR SELECT order_id FROM orders"),
    ("BEGIN", "DECLARE c CURSOR FOR SELECT order_id FROM orders WHERE tenant_id IN ('acme', 'globex')"),
    (_MINE, "SELECT count(*) FROM mine m LEFT JOIN orders o ON o.tenant_id = 'globex'"),
    (_MINE, "INSERT INTO mine SELECT * FROM orders WHERE tenant_id = 'globex'"),
    ("CREATE TEMP TABLE mine AS SELECT * FROM orders",),
    ("PREPARE p AS SELECT count(*) FROM orders WHERE tenant_id = $1",),
    ("EXPLAIN SELECT * FROM orders",),
    ("EXPLAIN ANALYZE DELETE FROM orders",),
    ("COPY (SELECT tenant_id FROM tenants) TO STDOUT",),
    # --- rows that are made of others ---------------------------------------------------------------------------------
    (
        "WITH c AS (UPDATE orders SET note = 'globex' WHERE tenant_id = 'acme' AND note = 'acme' RETURNING note)"
        " SELECT count(*) FROM c JOIN customers k ON k.tenant_id = c.note",
    ),
    (
        "UPDATE customers SET name = 'globex' WHERE tenant_id = 'acme' AND name = 'acme'"
        " RETURNING (SELECT count(*) FROM orders o WHERE o.tenant_id = customers.name)",
    ),
    (
        "WITH c AS (UPDATE orders SET note = note WHERE tenant_id = 'acme' RETURNING note) SELECT count(*)"
        " FROM c a, c b, customers k WHERE a.note = 'acme' AND k.tenant_id = b.note",
    ),
    (
        "SELECT x.name, l.* FROM (VALUES ('acme'), ('globex')) x (name), LATERAL (SELECT count(*) AS n, (SELECT count(*)"
        " FROM customers c WHERE c.tenant_id = x.name) FROM orders o WHERE o.tenant_id = 'acme' AND x.name = 'acme') l",
    ),
    (
        "SELECT (SELECT (SELECT count(*) FROM customers c WHERE c.tenant_id = k.name) FROM orders o WHERE k.name = 'acme'"
        " AND o.tenant_id = 'acme' HAVING true) FROM currencies k",
    ),
    (
        "WITH RECURSIVE r (t, n) AS (SELECT tenant_id, 1 FROM tenants UNION ALL SELECT 'acme', n + 1 FROM r WHERE n < 2)"
        " SELECT count(*) FROM r WHERE t = 'acme'",
    ),
    (
        "WITH RECURSIVE r (t, n) AS (SELECT tenant_id, 1 FROM tenants UNION ALL SELECT o.tenant_id, n + 1 FROM r JOIN"
        " tenants o ON o.tenant_id = 'acme' WHERE n < 2) SELECT count(*) FROM r WHERE t = 'acme'",
    ),
    (
        "MERGE INTO public.coupons c USING (VALUES ('acme', 'X'), ('globex', 'Y')) v (t, code) ON c.tenant_id = 'acme' AND"
        " c.code = v.code WHEN NOT MATCHED THEN INSERT VALUES (v.t, v.code, 1)",
    ),
    ("INSERT INTO public.coupons SELECT 'globex', code, 1 FROM public.coupons WHERE tenant_id = 'acme'",),
    ("INSERT INTO public.coupons VALUES ('acme', 'A', 1), ('globex', 'B', 2)",),
    ("INSERT INTO public.coupons (code, percent) VALUES ('A', 1)",),
    (
        "INSERT INTO public.coupons VALUES ('acme', 'WELCOME1', 1) ON CONFLICT (tenant_id, code) DO UPDATE SET tenant_id = 'globex'",
    ),
    (
        "INSERT INTO public.coupons VALUES ('acme', 'WELCOME1', 1) ON CONFLICT (tenant_id, code) DO UPDATE SET percent ="
        " (SELECT count(*) FROM orders)",
    ),
    ("UPDATE orders SET (tenant_id, note) = ('globex', 'x') WHERE tenant_id = 'acme'",),
    ("MERGE INTO public.coupons c USING tenants x ON c.tenant_id = x.tenant_id WHEN MATCHED THEN DELETE",),
    ("DELETE FROM public.coupons c USING tenants x WHERE x.tenant_id = 'acme' AND c.code = x.name",),
    # --- every definition, whatever it is about -----------------------------------------------------------------------
    *(
        (sql,)
        for sql in (
            *(
                "DROP TABLE nowhere",
                "DROP TABLE IF EXISTS nowhere",
                "ALTER TABLE IF EXISTS nowhere ADD y int",
            ),
            *(
                "COMMENT ON COLUMN orders.note IS 'x'",
                "REINDEX DATABASE shop",
                "CLUSTER",
                "ANALYZE",
                "ANALYZE nowhere",
            ),
            *(
                "TRUNCATE nowhere",
                "LOCK TABLE nowhere",
                "CREATE TABLE IF NOT EXISTS orders (i int)",
                "VACUUM nowhere",
            ),
            *(
                "REFRESH MATERIALIZED VIEW attack.frozen",
                "SECURITY LABEL ON TABLE orders IS 'x'",
                "CREATE INDEX ON nowhere (a)",
            ),
            *(
                "IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c",
                "CREATE STATISTICS s ON note, total FROM orders",
            ),
            *(
                "ALTER TYPE attack.mood ADD VALUE 'x'",
                "REASSIGN OWNED BY app TO postgres",
                "DROP OWNED BY app",
            ),
            *(
                "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION x()",
                "ALTER ROLE app SET search_path = attack",
            ),
            *(
                "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public",
                "ALTER DATABASE shop SET search_path = attack",
            ),
            *(
                "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p",
                "CREATE ACCESS METHOD h TYPE INDEX HANDLER h",
            ),
            *("ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b", "DROP TRANSFORM FOR int LANGUAGE sql"),
            *(
                "ALTER LARGE OBJECT 1 OWNER TO app",
                "ALTER SEQUENCE orders_order_id_seq RESTART",
                "CREATE SCHEMA z",
            ),
            *(
                "CREATE CAST (text AS int) WITH INOUT",
                "DROP FUNCTION attack.plain(bigint)",
                "CREATE DOMAIN d AS text",
            ),
            *(
                "CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION x()",
                "CREATE EXTENSION IF NOT EXISTS dblink",
            ),
            *(
                "CREATE POLICY p ON orders",
                "CREATE PUBLICATION p FOR ALL TABLES",
                "DROP TYPE attack.mood",
                "CREATE ROLE r",
            ),
        )
    ),
)
