-- Triggers that are not disabled, without those that PostgreSQL itself makes for constraints. In tgtype, bit 0 is FOR
-- EACH ROW, 1 is BEFORE, 2 to 4 are INSERT, DELETE and UPDATE. (TRUNCATE is never sent to a shard.) Those of a move are
-- ours: they look at the row, change nothing, and are on its source only.
SELECT t.tgrelid::pg_catalog.int8 AS relation,
       t.tgname::pg_catalog.text AS name,
       fn.nspname::pg_catalog.text AS function_schema,
       f.proname::pg_catalog.text AS function_name,
       pg_catalog.array_remove(ARRAY[CASE WHEN t.tgtype & 4 <> 0 THEN 'INSERT' END,
                                     CASE WHEN t.tgtype & 16 <> 0 THEN 'UPDATE' END,
                                     CASE WHEN t.tgtype & 8 <> 0 THEN 'DELETE' END], NULL) AS events,
       t.tgtype & 3 = 3 AS changes_row
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid
JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.pronamespace
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.tgenabled <> 'D'
  AND NOT (t.tgisinternal AND fn.nspname = 'pg_catalog')
  AND t.tgtype & 28 <> 0
  AND fn.nspname <> 'shardproxy'
  AND n.nspname NOT IN ('information_schema', 'shardproxy')
  AND n.nspname !~ '^pg_'
ORDER BY t.tgrelid, t.tgname
