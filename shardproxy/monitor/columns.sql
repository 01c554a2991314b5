-- The live columns of the relations of relations.sql, in their order. A column without a collation compares
-- deterministically; has_default is true for a DEFAULT, a generated column (both pg_attrdef) and an identity.
SELECT c.oid::pg_catalog.int8 AS relation,
       a.attname::pg_catalog.text AS name,
       a.atttypid::pg_catalog.int8 AS type_oid,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
       a.attnotnull AS not_null,
       COALESCE(co.collisdeterministic, true) AS deterministic,
       a.atthasdef OR a.attidentity <> '' AS has_default,
       a.attgenerated <> '' AS generated
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
LEFT JOIN pg_catalog.pg_collation AS co ON co.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND n.nspname NOT IN ('information_schema', 'shardproxy')
  AND n.nspname !~ '^pg_'
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY c.oid, a.attnum
