-- The triggers of our moves on a server's tables, without the copies that partitions have of their parent's.
SELECT n.nspname::text AS schema, c.relname::text AS name, t.tgname::text AS trigger
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_proc AS f ON f.oid = t.tgfoid
WHERE f.pronamespace = 'shardproxy'::regnamespace AND t.tgparentid = 0
ORDER BY n.nspname, c.relname, t.tgname
