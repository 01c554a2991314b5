-- Bare names and enum types: (what, schema, name, oid), where "what" is schema, hidden_schema, system_relation,
-- user_operator, extension_operator or enum_type. Hidden are the schemas that the search_path of this role leaves out,
-- for want of USAGE. The last covers every enum type outside the system schemas;
-- the schema of an operator is the name of its function.
SELECT 'schema' AS what, n.nspname::pg_catalog.text AS schema, '' AS name, 0::pg_catalog.int8 AS oid
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname NOT IN ('information_schema', 'shardproxy') AND n.nspname !~ '^pg_'
UNION ALL
SELECT 'hidden_schema', n.nspname::pg_catalog.text, '', 0
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname NOT IN ('information_schema', 'shardproxy') AND n.nspname !~ '^pg_'
  AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT 'system_relation', 'pg_catalog', c.relname::pg_catalog.text, 0
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'pg_catalog' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                         WHERE d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
                           AND d.objid = o.oid AND d.deptype = 'e')
            THEN 'extension_operator' ELSE 'user_operator' END, f.proname::pg_catalog.text, o.oprname::pg_catalog.text, 0
FROM pg_catalog.pg_operator AS o
JOIN pg_catalog.pg_proc AS f ON f.oid = o.oprcode
JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'shardproxy')
UNION ALL
SELECT 'enum_type', n.nspname::pg_catalog.text, t.typname::pg_catalog.text, t.oid::pg_catalog.int8
FROM pg_catalog.pg_type AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND n.nspname NOT IN ('information_schema', 'shardproxy') AND n.nspname !~ '^pg_'
