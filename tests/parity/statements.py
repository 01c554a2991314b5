"""The misrouting corpus: statements that are easy to send to the wrong shard.

Placeholders (psycopg's): ``t`` and ``w`` are tenants of one shard, ``u`` of another, ``d`` and ``e`` devices of two
shards, ``doc`` a document. Each statement is either answered exactly as one PostgreSQL with all rows answers it, or
refused; on which list it stands is part of the test, so that neither side can grow by accident.
"""

ANSWERED = (
    # --- one key, in every spelling ---------------------------------------------------------------------------------
    "SELECT order_id, status FROM orders WHERE tenant_id = %(t)s",
    "SELECT order_id FROM orders WHERE %(t)s = tenant_id ORDER BY order_id DESC LIMIT 5",
    "SELECT count(*), sum(total), avg(total) FROM orders WHERE tenant_id = %(t)s",
    "SELECT status, count(*) FROM orders WHERE tenant_id = %(u)s GROUP BY status HAVING count(*) > 1 ORDER BY 1",
    "SELECT DISTINCT status FROM orders o WHERE o.tenant_id = %(t)s ORDER BY 1",
    "SELECT order_id, row_number() OVER (ORDER BY total, order_id) FROM orders WHERE tenant_id = %(t)s ORDER BY 1",
    "SELECT order_id FROM public.orders WHERE public.orders.tenant_id = %(t)s AND total > 100 ORDER BY 1",
    'SELECT "order_id" FROM "orders" AS "O" WHERE "O"."tenant_id" = %(t)s ORDER BY 1',
    "SELECT order_id FROM orders WHERE (tenant_id) = (%(t)s) AND (status = 'new' OR status = 'paid') ORDER BY 1",
    "SELECT order_id FROM orders WHERE tenant_id = %(t)s AND tenant_id = %(t)s ORDER BY 1",
    "SELECT order_id FROM orders WHERE tenant_id IN (%(t)s) ORDER BY 1",
    "SELECT order_id FROM orders WHERE tenant_id = 'nobody'",
    "SELECT count(*) FROM orders WHERE tenant_id = 'nobody'",
    "SELECT count(*) FROM orders WHERE tenant_id = NULL",
    "SELECT tenant_id FROM tenants WHERE tenant_id = upper('nobody') OR tenant_id = %(t)s AND false",
    "SELECT count(*) FROM orders WHERE tenant_id = %(t)s AND order_id BETWEEN 1 AND 100000",
    "SELECT name FROM tenants WHERE tenant_id = %(t)s AND name LIKE '%%'",
    "SELECT percent FROM coupons WHERE tenant_id = %(t)s ORDER BY 1",
    "SELECT d.model FROM devices d WHERE d.device_id = %(d)s",
    "SELECT count(*) FROM readings WHERE device_id = %(d)s",
    "SELECT note FROM device_notes WHERE device_id = 5",
    "SELECT model FROM devices WHERE device_id = -1",
    "SELECT model FROM devices WHERE device_id = - 1",
    "SELECT model FROM devices WHERE device_id = -9223372036854775808",
    "SELECT model FROM devices WHERE device_id = 2147483647",
    "SELECT model FROM devices WHERE device_id = '21'",
    "SELECT title FROM docs WHERE doc_id = %(doc)s",
    "SELECT title FROM docs WHERE doc_id = upper('%(rawdoc)s')::uuid OR false",
    # --- several keys -----------------------------------------------------------------------------------------------
    "SELECT tenant_id, order_id FROM orders WHERE tenant_id IN (%(t)s, %(w)s)",
    "SELECT count(*) FROM orders WHERE tenant_id IN (%(t)s, %(w)s)",
    "SELECT tenant_id, order_id FROM orders WHERE tenant_id IN (%(t)s, %(u)s)",
    "SELECT tenant_id, order_id FROM orders WHERE tenant_id = %(t)s OR tenant_id = %(u)s",
    "SELECT tenant_id FROM tenants WHERE tenant_id = ANY (ARRAY[%(t)s, %(u)s])",
    "SELECT tenant_id, order_id FROM orders WHERE tenant_id IN (%(t)s, NULL)",
    # --- joins ------------------------------------------------------------------------------------------------------
    "SELECT o.order_id, c.name FROM orders o JOIN customers c USING (tenant_id, customer_id) WHERE o.tenant_id = %(t)s",
    "SELECT o.order_id, c.name FROM orders o JOIN customers c ON c.tenant_id = o.tenant_id"
    " AND c.customer_id = o.customer_id WHERE c.tenant_id = %(t)s",
    "SELECT o.order_id, c.name FROM orders o, customers c WHERE o.tenant_id = %(t)s AND c.tenant_id = o.tenant_id"
    " AND c.customer_id = o.customer_id",
    "SELECT o.order_id, c.name FROM orders o JOIN customers c ON c.customer_id = o.customer_id"
    " WHERE o.tenant_id = %(t)s AND c.tenant_id = %(t)s",
    "SELECT o.order_id, c.name FROM orders o JOIN customers c ON c.customer_id = o.customer_id"
    " WHERE o.tenant_id = %(t)s AND c.tenant_id = %(w)s",
    "SELECT o.order_id, i.line FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id"
    " AND i.order_id = o.order_id WHERE o.tenant_id = %(t)s",
    "SELECT o.order_id, i.line FROM orders o LEFT JOIN order_items i ON i.order_id = o.order_id"
    " AND i.tenant_id = %(t)s WHERE o.tenant_id = %(t)s",
    "SELECT * FROM orders NATURAL JOIN order_items WHERE tenant_id = %(t)s",
    "SELECT a.order_id, b.order_id FROM orders a JOIN orders b ON a.tenant_id = b.tenant_id AND a.order_id < b.order_id"
    " WHERE b.tenant_id = %(u)s AND a.customer_id = b.customer_id",
    "SELECT o.order_id, k.name FROM orders o JOIN currencies k USING (currency) WHERE o.tenant_id = %(t)s",
    "SELECT k.currency, count(o.order_id) FROM currencies k LEFT JOIN orders o ON o.currency = k.currency"
    " AND o.tenant_id = %(t)s GROUP BY 1 ORDER BY 1",
    # --- subqueries, CTEs, set operations ---------------------------------------------------------------------------
    "SELECT * FROM (SELECT tenant_id, order_id FROM orders WHERE tenant_id = %(t)s) s ORDER BY 2",
    "SELECT order_id FROM (SELECT * FROM orders) s WHERE s.tenant_id = %(t)s ORDER BY 1",
    "WITH mine AS (SELECT * FROM orders WHERE tenant_id = %(t)s) SELECT count(*) FROM mine",
    "WITH mine AS (SELECT * FROM orders WHERE tenant_id = %(t)s) SELECT m.order_id, c.name FROM mine m"
    " JOIN customers c ON c.tenant_id = %(t)s AND c.customer_id = m.customer_id",
    "SELECT order_id FROM orders WHERE tenant_id = %(t)s UNION ALL SELECT order_id FROM orders WHERE tenant_id = %(t)s",
    "SELECT order_id FROM orders WHERE tenant_id = %(t)s EXCEPT SELECT order_id FROM order_items"
    " WHERE tenant_id = %(t)s ORDER BY 1",
    "SELECT order_id FROM orders o WHERE tenant_id = %(t)s AND EXISTS (SELECT FROM order_items i"
    " WHERE i.tenant_id = o.tenant_id AND i.order_id = o.order_id)",
    "SELECT order_id, (SELECT count(*) FROM order_items i WHERE i.tenant_id = o.tenant_id AND i.order_id = o.order_id)"
    " FROM orders o WHERE o.tenant_id = %(t)s ORDER BY 1",
    "SELECT (SELECT count(*) FROM orders WHERE tenant_id = %(t)s), (SELECT count(*) FROM customers"
    " WHERE tenant_id = %(t)s)",
    "SELECT c.name, l.order_id FROM customers c, LATERAL (SELECT order_id FROM orders o WHERE o.tenant_id = c.tenant_id"
    " AND o.customer_id = c.customer_id ORDER BY order_id LIMIT 1) l WHERE c.tenant_id = %(t)s",
    "SELECT order_id FROM open_orders WHERE tenant_id = %(t)s ORDER BY 1",
    "SELECT sum(amount) FROM order_lines WHERE tenant_id = %(u)s",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "SELECT count(*) FROM orders WHERE tenant_id IN (SELECT tenant_id FROM tenants WHERE tenant_id = %(t)s)",
    "SELECT order_id FROM orders WHERE (tenant_id, order_id) IN (SELECT tenant_id, order_id FROM order_items"
    " WHERE tenant_id = %(t)s ORDER BY order_id LIMIT 5) ORDER BY 1",
    "SELECT count(*) FROM orders WHERE tenant_id IN (VALUES (%(t)s), (%(w)s), (NULL))",
    # --- arrays as rows ---------------------------------------------------------------------------------------------
    "SELECT o.order_id FROM unnest(ARRAY[%(t)s, %(w)s]::text[]) k JOIN orders o ON o.tenant_id = k ORDER BY k, 1",
    "SELECT o.tenant_id, o.order_id FROM unnest(ARRAY[%(t)s, %(u)s]::text[], ARRAY[1, 2, 3]) AS v (k, n)"
    " JOIN orders o ON o.tenant_id = v.k AND o.order_id = v.n",
    "SELECT v.n, o.status FROM unnest(ARRAY[%(t)s, NULL]::text[]) WITH ORDINALITY AS v (k, n)"
    " LEFT JOIN orders o ON o.tenant_id = v.k AND o.order_id = 1 ORDER BY 1",
    # --- no sharded table -------------------------------------------------------------------------------------------
    "SELECT currency, name FROM currencies ORDER BY 1",
    "SELECT count(*) FROM whole_currencies",
    "SELECT 1 AS one, %(t)s::text AS t, NULL::int",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT generate_series(1, 3)",
    "SELECT relname FROM pg_class WHERE relname = 'orders'",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name LIKE 'order%%'"
    " ORDER BY 1",
    "SELECT audit_id, action FROM audit ORDER BY 1",
    # --- all shards, concatenated -----------------------------------------------------------------------------------
    "SELECT tenant_id, order_id, status, total FROM orders",
    "SELECT tenant_id, name FROM tenants WHERE plan = 'free'",
    "SELECT o.tenant_id, o.order_id, c.name FROM orders o JOIN customers c USING (tenant_id, customer_id)"
    " WHERE o.total > 500",
    "SELECT o.tenant_id, o.order_id, k.name FROM orders o JOIN currencies k USING (currency) WHERE o.status = 'new'",
    "SELECT tenant_id, count(*), sum(total) FROM orders GROUP BY tenant_id",
    "SELECT tenant_id, status, count(*) FROM orders GROUP BY tenant_id, status HAVING count(*) > 3",
    "SELECT tenant_id AS t, count(*) FROM orders GROUP BY t",
    "SELECT device_id, model FROM devices",
    "SELECT doc_id, title FROM docs",
    "SELECT device_id, max(value) FROM readings GROUP BY device_id",
    "SELECT o.tenant_id, o.order_id, i.line FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id"
    " AND i.order_id = o.order_id",
    "SELECT tenant_id FROM tenants WHERE false",
    # --- errors that are PostgreSQL's -------------------------------------------------------------------------------
    "SELECT nothing FROM orders WHERE tenant_id = %(t)s",
    "SELECT 1 / (count(*) - count(*)) FROM orders WHERE tenant_id = %(t)s",
    "SELECT * FROM no_such_table",
    "SELEC 1",
    "SELECT order_id FROM orders WHERE tenant_id = %(t)s AND order_id = 'x'",
)

REFUSED = (
    # --- a key that is no key of the whole statement ----------------------------------------------------------------
    "SELECT order_id FROM orders WHERE tenant_id = %(t)s UNION SELECT order_id FROM orders",
    "SELECT order_id FROM orders UNION ALL SELECT order_id FROM orders WHERE tenant_id = %(t)s",
    "SELECT count(*) FROM customers c LEFT JOIN orders o ON o.tenant_id = c.tenant_id AND c.tenant_id = %(t)s",
    "SELECT count(*) FROM orders o LEFT JOIN customers c ON c.tenant_id = %(t)s AND o.tenant_id = %(t)s",
    "SELECT count(*), (SELECT 1 FROM tenants WHERE tenant_id = %(t)s) FROM orders",
    "SELECT sum(CASE WHEN tenant_id = %(t)s THEN total END) FROM orders",
    "SELECT count(tenant_id = %(t)s) FROM orders",
    "SELECT count(*) FILTER (WHERE tenant_id = %(t)s) FROM orders",
    "WITH one AS (SELECT * FROM tenants WHERE tenant_id = %(t)s) SELECT count(*) FROM orders",
    "WITH orders AS (SELECT * FROM orders) SELECT count(*) FROM orders o JOIN tenants x ON x.tenant_id = %(t)s",
    "SELECT count(*) FROM orders WHERE tenant_id = %(t)s OR total > 100",
    "SELECT count(*) FROM orders WHERE NOT (tenant_id = %(t)s)",
    "SELECT count(*) FROM orders WHERE tenant_id <> %(t)s",
    "SELECT count(*) FROM orders WHERE tenant_id >= %(t)s",
    "SELECT count(*) FROM orders WHERE tenant_id LIKE %(t)s",
    "SELECT count(*) FROM orders WHERE tenant_id IS NOT NULL",
    "SELECT count(*) FROM orders WHERE tenant_id || '' = %(t)s",
    "SELECT count(*) FROM orders WHERE upper(tenant_id) = upper(%(t)s)",
    "SELECT count(*) FROM orders WHERE coalesce(tenant_id, 'x') = %(t)s",
    'SELECT count(*) FROM orders WHERE tenant_id COLLATE "C" > %(t)s',
    "SELECT count(*) FROM orders WHERE tenant_id = lower(%(t)s)",
    "SELECT count(*) FROM orders WHERE tenant_id IN (%(t)s, lower(%(u)s))",
    "SELECT count(*) FROM orders WHERE tenant_id IN (SELECT tenant_id FROM tenants)",
    "SELECT count(*) FROM orders WHERE tenant_id = (SELECT min(tenant_id) FROM tenants)",
    "SELECT count(*) FROM orders WHERE tenant_id IN (%(t)s, %(u)s)",
    "SELECT count(*) FROM devices WHERE device_id IN (1, 1 + 1)",
    "SELECT count(*) FROM devices WHERE device_id = 1.0",
    "SELECT count(*) FROM devices WHERE device_id::text = '1'",
    "SELECT count(*) FROM devices WHERE device_id = ALL (ARRAY[1, 2])",
    "SELECT count(*) FROM devices WHERE device_id BETWEEN 1 AND 1",
    "SELECT count(*) FROM orders GROUP BY tenant_id = %(t)s",
    "SELECT tenant_id = %(t)s, count(*) FROM orders GROUP BY 1",
    "SELECT count(*) FROM orders HAVING min(tenant_id) = %(t)s",
    "SELECT o.order_id FROM orders o JOIN customers c ON c.customer_id = o.customer_id WHERE o.tenant_id = %(t)s",
    "SELECT count(*) FROM orders o, customers c WHERE o.tenant_id = %(t)s",
    "SELECT count(*) FROM orders o FULL JOIN customers c ON c.tenant_id = o.tenant_id AND o.tenant_id = %(t)s",
    "SELECT x.tenant_id, (SELECT count(*) FROM orders) FROM tenants x WHERE x.tenant_id = %(t)s",
    "SELECT order_id FROM orders o WHERE tenant_id = %(t)s AND EXISTS (SELECT FROM order_items i"
    " WHERE i.order_id = o.order_id)",
    "SELECT count(*) FROM open_orders",
    "SELECT tenant_id, order_id FROM open_orders",
    "SELECT count(*) FROM (SELECT tenant_id FROM orders LIMIT 10) s WHERE tenant_id = %(t)s",
    # --- several shards, and concatenation would be wrong -----------------------------------------------------------
    "SELECT count(*) FROM orders",
    "SELECT status, count(*) FROM orders GROUP BY status",
    "SELECT DISTINCT status FROM orders",
    "SELECT tenant_id, order_id FROM orders ORDER BY total LIMIT 5",
    "SELECT tenant_id, order_id FROM orders LIMIT 5",
    "SELECT tenant_id, order_id FROM orders OFFSET 5",
    "SELECT tenant_id, order_id FROM orders ORDER BY order_id",
    "SELECT tenant_id, rank() OVER (ORDER BY total) FROM orders",
    "SELECT order_id FROM orders UNION SELECT order_id FROM order_items",
    "SELECT k.currency, o.order_id FROM currencies k LEFT JOIN orders o ON o.currency = k.currency",
    "SELECT o.tenant_id, d.device_id FROM orders o JOIN devices d ON d.device_id = o.order_id",
    "SELECT tenant_id FROM tenants FOR UPDATE",
    "SELECT tenant_id, random() < 2 FROM tenants",
    "SELECT tenant_id FROM tenants TABLESAMPLE SYSTEM (100)",
    "SELECT string_agg(tenant_id, ',' ORDER BY tenant_id) FROM tenants",
    "SELECT max(total) FROM orders",
    "SELECT tenant_id FROM tenants WHERE tenant_id = %(t)s OR EXISTS (SELECT FROM orders WHERE total > 1000000)",
    # --- tables that have no place ----------------------------------------------------------------------------------
    "SELECT * FROM misc",
    "SELECT a.action FROM audit a JOIN tenants x ON x.name = a.actor WHERE x.tenant_id = %(u)s",
    "SELECT nextval('orders_order_id_seq')",
    "UPDATE currencies SET name = name",
    "TRUNCATE orders",
    "CREATE TABLE new_table (i int)",
    "DROP TABLE IF EXISTS new_table",
    "ALTER TABLE orders ADD COLUMN more int",
    "CREATE INDEX ON orders (note)",
    "VACUUM orders",
    "LOCK TABLE orders",
    "DO $$ BEGIN PERFORM 1; END $$",
    "GRANT SELECT ON orders TO public",
    "COPY orders TO STDOUT",
    "PREPARE p AS SELECT * FROM orders WHERE tenant_id = $1",
    "SELECT lo_create(0)",
    "SET SESSION AUTHORIZATION postgres",
)

WRITES = (
    "INSERT INTO tenants VALUES ('parity-one', 'One', 'free', 'EUR', '2025-01-01')",
    "INSERT INTO tenants (name, currency, tenant_id, plan, created_at) VALUES"
    " ('Two', 'EUR', 'parity-two', 'team', '2025-01-01')",
    "INSERT INTO customers (customer_id, tenant_id, email, name, created_at) VALUES"
    " (9001, 'parity-one', 'a@one', 'A', '2025-01-01'), (9002, 'parity-one', 'b@one', 'B', '2025-01-01')",
    "INSERT INTO customers VALUES (%(t)s, 9003, 'c@t', 'C', '2025-01-01') RETURNING customer_id, name",
    "INSERT INTO customers VALUES (%(u)s, 9003, 'c@u', 'C', '2025-01-01') ON CONFLICT DO NOTHING",
    "INSERT INTO customers VALUES (%(u)s, 9003, 'd@u', 'D', '2025-01-01') ON CONFLICT (tenant_id, customer_id)"
    " DO UPDATE SET email = excluded.email RETURNING email",
    "INSERT INTO orders (tenant_id, order_id, customer_id, currency, placed_at) VALUES"
    " (%(t)s, 90001, 9003, 'EUR', '2025-02-01')",
    "UPDATE orders SET status = 'paid', total = 10 WHERE tenant_id = %(t)s AND order_id = 90001 RETURNING version",
    "UPDATE orders o SET note = c.name FROM customers c WHERE o.tenant_id = %(t)s AND c.tenant_id = o.tenant_id"
    " AND c.customer_id = o.customer_id AND o.order_id = 90001",
    "UPDATE orders SET tenant_id = %(t)s, note = 'all columns' WHERE tenant_id = %(t)s AND order_id = 90001"
    " RETURNING tenant_id, note",
    "UPDATE customers SET (tenant_id, name) = (%(t)s, 'all columns') WHERE tenant_id = %(t)s AND customer_id = 9003",
    "UPDATE orders o SET tenant_id = c.tenant_id, note = c.name FROM customers c WHERE o.tenant_id = %(t)s"
    " AND c.tenant_id = o.tenant_id AND c.customer_id = o.customer_id AND o.order_id = 90001",
    "INSERT INTO customers VALUES (%(t)s, 9003, 'e@t', 'C', '2025-01-01') ON CONFLICT (tenant_id, customer_id)"
    " DO UPDATE SET tenant_id = excluded.tenant_id, email = excluded.email RETURNING tenant_id, email",
    "MERGE INTO customers c USING (VALUES ('f@t')) v(email) ON c.tenant_id = %(t)s AND c.customer_id = 9003"
    " WHEN MATCHED THEN UPDATE SET tenant_id = %(t)s, email = v.email",
    "UPDATE devices SET device_id = %(d)s, model = 'all columns' WHERE device_id = %(d)s",
    "UPDATE docs SET doc_id = %(doc)s, title = 'all columns' WHERE doc_id = %(doc)s",
    "WITH changed AS (UPDATE customers SET name = 'CC' WHERE tenant_id = %(t)s AND customer_id = 9003 RETURNING *)"
    " SELECT name FROM changed",
    "DELETE FROM customers WHERE tenant_id = %(u)s AND customer_id = 9003 RETURNING email",
    "DELETE FROM customers USING tenants x WHERE customers.tenant_id = %(t)s AND x.tenant_id = customers.tenant_id"
    " AND customer_id = 424242",
    "INSERT INTO coupons SELECT tenant_id, 'EXTRA', 1 FROM tenants WHERE tenant_id = %(t)s",
    "INSERT INTO coupons (tenant_id, code, percent) SELECT p0::VARCHAR, p1::VARCHAR, p2::SMALLINT FROM"
    " (VALUES (%(t)s, 'SA1', 1, 0), (%(t)s, 'SA2', 2, 1)) AS s (p0, p1, p2, n) ORDER BY n RETURNING code",
    "INSERT INTO devices (device_id, model) SELECT p0::BIGINT, p1::VARCHAR FROM (VALUES (78, 'm78', 0)) AS s (p0, p1, n)",
    "INSERT INTO coupons SELECT * FROM UNNEST((ARRAY[%(t)s, %(t)s])::varchar(40)[], (ARRAY['DJ1', 'DJ2'])::text[],"
    " (ARRAY[1, 2])::smallint[]) RETURNING code",
    "UPDATE coupons SET percent = v.p FROM unnest(ARRAY[%(t)s]::text[], ARRAY['DJ1'], ARRAY[9]) AS v (t, code, p)"
    " WHERE coupons.tenant_id = v.t AND coupons.code = v.code",
    "DELETE FROM coupons WHERE (tenant_id, code) IN (SELECT tenant_id, code FROM coupons WHERE tenant_id = %(t)s"
    " AND code LIKE 'DJ%%' ORDER BY code LIMIT 1) RETURNING code",
    "INSERT INTO devices VALUES (%(d)s + 0, 'never')",
    "INSERT INTO devices VALUES (77, 'm77')",
    "INSERT INTO readings VALUES (77, '2025-03-01', 1.5), (77, '2025-03-02', 2.5)",
    "UPDATE devices SET model = 'm77b' WHERE device_id = 77",
    "DELETE FROM readings WHERE device_id = 77 AND value > 2",
    "INSERT INTO docs VALUES ('11111111-2222-3333-4444-555555555555', 'x', '{}')",
    "UPDATE docs SET title = 'y' WHERE doc_id = '{11111111-2222-3333-4444-555555555555}'",
    "MERGE INTO coupons c USING (VALUES ('MERGED', 3)) v(code, percent) ON c.tenant_id = %(t)s AND c.code = v.code"
    " WHEN NOT MATCHED THEN INSERT VALUES (%(t)s, v.code, v.percent)",
    "INSERT INTO audit (audit_id, action) VALUES (900, 'through the proxy')",
    # errors, of PostgreSQL
    "INSERT INTO tenants VALUES (%(t)s, 'again', 'free', 'EUR')",
    "UPDATE orders SET status = 'new' WHERE tenant_id = %(t)s AND order_id = 90001",
    "DELETE FROM order_events WHERE tenant_id = %(t)s",
    # refused: several shards, or a key that changes
    "INSERT INTO tenants VALUES ('parity-a', 'a', 'free', 'EUR'), ('parity-b', 'b', 'free', 'EUR'),"
    " ('parity-c', 'c', 'free', 'EUR'), ('parity-d', 'd', 'free', 'EUR'), ('parity-e', 'e', 'free', 'EUR')",
    "INSERT INTO tenants (name, plan, currency) VALUES ('no key', 'free', 'EUR')",
    "UPDATE orders SET tenant_id = %(u)s WHERE tenant_id = %(t)s AND order_id = 90001",
    "UPDATE orders SET note = 'everybody'",
    "UPDATE orders SET tenant_id = %(w)s WHERE tenant_id = %(t)s AND order_id = 90001",
    "UPDATE orders SET tenant_id = NULL WHERE tenant_id = %(t)s AND order_id = 90001",
    "UPDATE orders SET tenant_id = note WHERE tenant_id = %(t)s AND order_id = 90001",
    "UPDATE orders SET note = 'or' WHERE tenant_id = %(t)s OR order_id = 1",
    "DELETE FROM coupons",
    "DELETE FROM coupons WHERE tenant_id IN (%(t)s, %(u)s)",
    "INSERT INTO coupons SELECT tenant_id, 'ALL', 1 FROM tenants",
    "INSERT INTO coupons SELECT %(t)s, 'STOLEN', count(*) FROM orders",
    "INSERT INTO coupons VALUES (lower(%(t)s), 'EXPR', 1)",
    "WITH gone AS (DELETE FROM coupons RETURNING *) SELECT count(*) FROM gone WHERE tenant_id = %(t)s",
    "INSERT INTO coupons VALUES (NULL, 'NULL', 1)",
    "INSERT INTO coupons SELECT * FROM unnest(ARRAY[%(t)s, %(u)s]::text[], ARRAY['DJ3', 'DJ4'], ARRAY[1::smallint, 2])",
    "INSERT INTO coupons SELECT * FROM unnest(ARRAY[%(t)s, NULL]::text[], ARRAY['DJ3', 'DJ4'], ARRAY[1::smallint, 2])",
    "DELETE FROM coupons WHERE (tenant_id, code) NOT IN (SELECT tenant_id, code FROM coupons WHERE tenant_id = %(t)s)",
    "INSERT INTO open_orders (tenant_id, order_id) VALUES (%(t)s, 1)",
)
