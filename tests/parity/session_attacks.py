"""Conversations whose danger is in the session: comments that swallow, settings that nobody follows, what only one session
has. As in ``attacks``.
"""

_COUNT = "SELECT count(*) FROM orders WHERE tenant_id = 'acme'"
_NOTE = "UPDATE orders SET note = 'swallowed' WHERE tenant_id = 'acme' AND order_id = 1"
_READ = "SELECT note FROM orders WHERE tenant_id = 'acme' AND order_id = 1"
_TIME = "SELECT placed_at::text FROM orders WHERE tenant_id = 'acme' AND order_id = 1"

ANSWERED: tuple[tuple[str, ...], ...] = (
    # --- a comment at the end of a statement that is sent ahead of others, or again -----------------------------------
    ("BEGIN -- here", _NOTE, _READ, "ROLLBACK", _READ),
    ("BEGIN", "SAVEPOINT a -- here", _NOTE, "ROLLBACK TO a -- and there", _READ, "ROLLBACK"),
    ("BEGIN", "SET LOCAL TimeZone = 'Asia/Tokyo' -- here", _NOTE, _TIME, "ROLLBACK", _TIME),
    ("BEGIN", "SET DateStyle = 'German' -- here", "SET TimeZone = 'Asia/Tokyo'", _TIME, "COMMIT", _TIME),
    ("SET application_name = 'x' -- here", "SET TimeZone = 'Asia/Tokyo'", _TIME),
    (
        "SET application_name = 'x' -- here",
        "BEGIN -- and here",
        "SET LOCAL TimeZone = 'Asia/Tokyo'",
        _TIME,
        "COMMIT",
        _TIME,
    ),
    ("SELECT 1 -- one\n; SELECT count(*) FROM orders WHERE tenant_id = 'acme' -- two",),
    ("BEGIN -- one\n; SELECT 1 -- two\n; COMMIT -- three", "SAVEPOINT none"),
    # --- AND CHAIN ----------------------------------------------------------------------------------------------------
    ("BEGIN", "COMMIT /* supply chain */", "SAVEPOINT none"),
    ("BEGIN", "ROLLBACK -- chain", "SAVEPOINT none"),
    ("COMMIT -- chain", "ROLLBACK AND CHAIN"),
    ("BEGIN", "COMMIT AND CHAIN /* no */", "SAVEPOINT a", _NOTE, "ROLLBACK", _READ),
    ("BEGIN", "COMMIT AND NO CHAIN", "SAVEPOINT none"),
    (
        *(
            "BEGIN",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "COMMIT AND CHAIN",
            "SHOW transaction_isolation",
        ),
        *(_COUNT, "ROLLBACK"),
    ),
    (
        *("BEGIN READ ONLY -- here", "ROLLBACK AND CHAIN -- there", _COUNT, "COMMIT AND CHAIN"),
        *("SHOW transaction_read_only", _NOTE, "ROLLBACK"),
    ),
    # --- set_config() -------------------------------------------------------------------------------------------------
    ("EXPLAIN (COSTS OFF) SELECT set_config('a.b', 'c', true)", "SELECT current_setting('a.b', true)"),
    ("SELECT set_config('TimeZone', 'Asia/Tokyo', false)", _TIME),
    # --- one name, one statement, several columns ---------------------------------------------------------------------
    (
        *("CREATE TEMP TABLE mine AS SELECT 1 AS x", "SELECT * FROM mine", "DROP TABLE mine"),
        *("CREATE TEMP TABLE mine AS SELECT 'abcd'::text AS x", "SELECT * FROM mine"),
    ),
    (
        *("BEGIN", "DECLARE c CURSOR FOR SELECT 1 AS x", "FETCH c", "CLOSE c"),
        *("DECLARE c CURSOR FOR SELECT 'abcd'::text AS x", "FETCH c", "COMMIT"),
    ),
    (
        *("PREPARE p AS SELECT 1 AS x", "EXECUTE p", "DEALLOCATE p"),
        *("PREPARE p AS SELECT 'abcd'::text AS x", "EXECUTE p"),
    ),
    # --- temporary tables ---------------------------------------------------------------------------------------------
    (
        *(
            "CREATE TEMP TABLE one (a int DEFAULT 1)",
            "CREATE TEMP TABLE two AS SELECT 2 AS a",
            "SELECT 3 AS a INTO TEMP three",
        ),
        *(
            "INSERT INTO one DEFAULT VALUES",
            "SELECT * FROM one, two, pg_temp.three",
            "ALTER TABLE one ADD b int DEFAULT 4",
        ),
        *(
            "CREATE INDEX ON one (b)",
            "SELECT * FROM one",
            "DROP TABLE one, two",
            "SELECT * FROM three",
            "SELECT * FROM one",
        ),
    ),
    (
        "PREPARE p AS SELECT 1 AS a",
        "CREATE TEMP TABLE one AS EXECUTE p",
        "SELECT * FROM one",
        "DISCARD ALL",
        "SELECT * FROM one",
    ),
    # --- sessions meet on the designated shard, which is acme's -------------------------------------------------------
    (f"{_COUNT}; NOTIFY c", "BEGIN", "NOTIFY c", _COUNT, "COMMIT", f"NOTIFY c; {_COUNT}"),
    ("SELECT pg_advisory_xact_lock(7)", "BEGIN", _COUNT, "SELECT pg_try_advisory_xact_lock(7)", "COMMIT"),
    # --- other servers, other answers ---------------------------------------------------------------------------------
    ("SELECT ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)",),
    ("SELECT count(*) > 0 FROM pg_stats", "SELECT count(*) > 0 FROM pg_stat_activity"),
    (
        "SET shardproxy.tenant = 'acme'",
        "SELECT nextval('orders_order_id_seq') > 0",
        "SELECT setval('orders_order_id_seq', 2000000)",
    ),
    # --- a comment before the setting's -------------------------------------------------------------------------------
    ("-- one\n/* two */ -- three\nSELECT count(*) FROM orders WHERE tenant_id = 'acme'",),
    (
        "SELECT '/* shardproxy.tenant=''acme'' */', count(*) FROM orders WHERE tenant_id = 'globex' -- a string",
    ),
)

REFUSED: tuple[tuple[str, ...], ...] = (
    # --- set_config() in a statement that runs it later, elsewhere or not at all --------------------------------------
    *(
        (f"{before}SELECT set_config('{name}', '{value}', false){after}",)
        for name, value in (("search_path", "attack"), ("shardproxy.tenant", "acme"), ("role", "none"))
        for before, after in (
            *(("EXPLAIN ", ""), ("EXPLAIN ANALYZE ", ""), ("PREPARE p AS ", ""), ("COPY (", ") TO STDOUT")),
            *(
                ("CREATE TEMP TABLE s AS ", ""),
                ("SELECT * FROM (", ") s"),
                ("WITH s AS (", ") SELECT 1 FROM s"),
            ),
        )
    ),
    ("BEGIN", "DECLARE c CURSOR FOR SELECT set_config('search_path', 'attack', false)"),
    # --- sessions meet on the designated shard, which is acme's -------------------------------------------------------
    ("SELECT count(*) FROM orders WHERE tenant_id = 'globex'; NOTIFY c",),
    ("NOTIFY c; SELECT count(*) FROM orders WHERE tenant_id = 'globex'",),
    ("BEGIN", "SELECT count(*) FROM orders WHERE tenant_id = 'globex'", "NOTIFY c"),
    ("BEGIN", "NOTIFY c", "SELECT count(*) FROM orders WHERE tenant_id = 'globex'"),
    # --- temporary tables ---------------------------------------------------------------------------------------------
    ("CREATE TEMP TABLE one (n bigint DEFAULT attack.count_orders())",),
    ("CREATE TEMP TABLE one (a int)", "ALTER TABLE one ADD n bigint DEFAULT attack.count_orders()"),
    ("CREATE TEMP TABLE one (a bigint)", "ALTER TABLE one ALTER a TYPE bigint USING attack.count_orders()"),
    ("CREATE TEMP TABLE one (a int)", "DROP TABLE IF EXISTS one, nowhere"),
    ("CREATE TEMP TABLE one (a int)", "TRUNCATE nowhere"),
    ("SELECT pg_advisory_lock(1)", "LOCK TABLE nowhere"),
    # --- what servers show of others, and tables that are named in values ---------------------------------------------
    ("SELECT count(*) FROM pg_prepared_statements",),
    ("SELECT * FROM pg_prepared_statement()",),
    ("SELECT pg_cancel_backend(pg_backend_pid())",),
    ("SELECT (pg_backend_pid()).pg_terminate_backend",),
    ("SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery FROM orders')",),
    *(
        (f"/* shardproxy.tenant='acme' */ SELECT count(*) FROM {catalog}",)
        for catalog in ("pg_stats", "pg_stats_ext", "pg_stat_activity", "pg_stat_get_activity(NULL)")
    ),
)
