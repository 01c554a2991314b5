-- What an application may have on its servers that hides tables from whoever reads only the statement.
-- a schema that the application may not use: names are looked up behind it
CREATE SCHEMA locked;
CREATE TABLE locked.orders (tenant_id text, order_id bigint);

CREATE SCHEMA attack AUTHORIZATION app;
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;

CREATE FUNCTION attack.count_orders() RETURNS bigint STABLE LANGUAGE sql
    AS 'SELECT count(*) FROM public.orders';
CREATE FUNCTION attack.count_slowly() RETURNS bigint LANGUAGE plpgsql
    AS 'BEGIN RETURN (SELECT count(*) FROM public.orders); END';
CREATE FUNCTION attack.count_atomically() RETURNS bigint STABLE LANGUAGE sql
    BEGIN ATOMIC SELECT count(*) FROM public.orders; END;
CREATE FUNCTION attack.dynamic(text) RETURNS bigint STABLE LANGUAGE plpgsql
    AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FROM '' || $1 INTO n; RETURN n; END';
CREATE FUNCTION attack.indirect() RETURNS bigint LANGUAGE sql AS 'SELECT attack.count_orders()';
CREATE FUNCTION attack.neighbours(public.orders) RETURNS bigint STABLE LANGUAGE sql
    AS 'SELECT count(*) FROM public.orders';
CREATE FUNCTION attack.every_order() RETURNS SETOF public.orders STABLE LANGUAGE sql
    AS 'SELECT * FROM public.orders';
CREATE FUNCTION attack.twice(bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION attack.plain(bigint) RETURNS bigint LANGUAGE plpgsql
    AS 'DECLARE n bigint := $1; BEGIN RETURN n + 1; END';
CREATE FUNCTION attack.grown(bigint, bigint) RETURNS bigint STABLE LANGUAGE sql
    AS 'SELECT $1 + (SELECT count(*) FROM public.orders)';
CREATE OPERATOR attack.<+> (FUNCTION = attack.grown, LEFTARG = bigint, RIGHTARG = bigint);
CREATE AGGREGATE attack.summed(bigint) (SFUNC = int8pl, STYPE = bigint, INITCOND = '0');
CREATE AGGREGATE attack.summed_up(bigint) (SFUNC = attack.grown, STYPE = bigint, INITCOND = '0');
CREATE PROCEDURE attack.act() LANGUAGE sql AS 'UPDATE public.orders SET note = note';
CREATE DOMAIN attack.code AS text;
CREATE TYPE attack.mood AS ENUM ('acme', 'globex');

CREATE VIEW attack.guarded WITH (security_barrier) AS SELECT * FROM public.orders WHERE total > 10;
CREATE VIEW attack.nested AS
    SELECT g.tenant_id, g.order_id, c.name FROM attack.guarded g JOIN public.customers c USING (tenant_id, customer_id);
CREATE VIEW attack.latest AS SELECT * FROM public.orders ORDER BY placed_at DESC, tenant_id LIMIT 5;
CREATE VIEW attack.counted AS SELECT tenant_id, count(*) AS n FROM public.orders GROUP BY tenant_id;
CREATE VIEW attack.renamed (key, tenant_id) AS SELECT tenant_id, status FROM public.orders;
CREATE VIEW attack.calling AS SELECT attack.count_orders() AS n, currency FROM public.currencies;
CREATE MATERIALIZED VIEW attack.frozen AS SELECT * FROM public.orders WITH NO DATA;

-- the same names in other schemas
CREATE TABLE attack.orders (tenant_id text, order_id bigint);
CREATE TABLE attack.currencies (currency text);
CREATE TABLE app.coupons (tenant_id text, code text, percent int);

-- partitions and inheritance
CREATE TABLE attack.measures (device_id bigint NOT NULL, at date NOT NULL, v int) PARTITION BY RANGE (at);
CREATE TABLE attack.measures_1 PARTITION OF attack.measures FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE TABLE attack.measures_2 PARTITION OF attack.measures FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
CREATE TABLE attack.base (tenant_id text NOT NULL, a int);
CREATE TABLE attack.child (b int) INHERITS (attack.base);
CREATE TABLE attack.mixed (tenant_id text NOT NULL, a int);
CREATE TABLE attack.mixed_child () INHERITS (attack.mixed);
CREATE TABLE attack.shelf (tenant_id text NOT NULL, a int);
CREATE TABLE attack.heir () INHERITS (attack.base, attack.shelf);

-- row security whose policies read tables, and whose do not
CREATE TABLE attack.watched (tenant_id text, a int);
CREATE TABLE attack.watched_reference (k text);
CREATE TABLE attack.own (tenant_id text, a int);
ALTER TABLE attack.watched ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE attack.watched_reference ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE attack.own ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY visible ON attack.watched
    USING (EXISTS (SELECT FROM public.orders o WHERE o.tenant_id = 'globex'));
CREATE POLICY visible ON attack.watched_reference USING (k IN (SELECT tenant_id FROM public.tenants));
CREATE POLICY visible ON attack.own USING (tenant_id <> coalesce(current_setting('attack.hidden', true), ''));
