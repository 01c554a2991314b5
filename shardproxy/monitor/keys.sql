-- Primary and unique keys, by their key columns (INCLUDEd ones follow indnkeyatts). Partial, expression, deferrable
-- and not yet valid indexes are left out, for none of them makes rows unique at every moment of a statement;
-- a primary key is reported in any case.
SELECT i.indrelid::pg_catalog.int8 AS relation,
       i.indisprimary AS is_primary,
       ARRAY(SELECT a.attname::pg_catalog.text
             FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k (place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place]
             ORDER BY k.place) AS columns
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indisunique
  AND (i.indisprimary OR (i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL))
  AND n.nspname NOT IN ('information_schema', 'shardproxy')
  AND n.nspname !~ '^pg_'
ORDER BY i.indrelid, 3
