-- Foreign keys, those that partitions have from their parents included. unset: the columns that ON DELETE SET NULL and
-- SET DEFAULT change, all of the key unless they are listed.
SELECT k.conrelid::pg_catalog.int8 AS relation,
       k.conname::pg_catalog.text AS name,
       tn.nspname::pg_catalog.text AS target_schema,
       t.relname::pg_catalog.text AS target_name,
       ARRAY(SELECT a.attname::pg_catalog.text
             FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u (number, place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.number
             ORDER BY u.place) AS columns,
       ARRAY(SELECT a.attname::pg_catalog.text
             FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u (number, place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.number
             ORDER BY u.place) AS target_columns,
       k.confdeltype::pg_catalog.text AS on_delete,
       k.confupdtype::pg_catalog.text AS on_update,
       ARRAY(SELECT a.attname::pg_catalog.text
             FROM pg_catalog.unnest(COALESCE(k.confdelsetcols, k.conkey)) WITH ORDINALITY AS u (number, place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.number
             ORDER BY u.place) AS unset
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS t ON t.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
WHERE k.contype = 'f'
  AND n.nspname NOT IN ('information_schema', 'shardproxy')
  AND n.nspname !~ '^pg_'
ORDER BY k.conrelid, k.conname, k.oid
