-- A digest of which files have the rows of the tables named by two parallel arrays: TRUNCATE, and whatever writes a
-- table anew, changes it.
SELECT md5(string_agg(part.relid::text || ':' || pg_relation_filenode(part.relid)::text, ',' ORDER BY part.relid::oid))
FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace AS n ON n.nspname = wanted.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
CROSS JOIN LATERAL (
    SELECT c.oid::regclass AS relid WHERE c.relkind = 'r'
    UNION ALL
    SELECT t.relid FROM pg_partition_tree(c.oid::regclass) AS t WHERE c.relkind = 'p' AND t.isleaf
) AS part
