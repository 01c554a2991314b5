-- Every relation a statement can name, outside the system schemas. Composite types, indexes and toast tables
-- cannot be named in FROM and are left out.
SELECT c.oid::pg_catalog.int8 AS oid,
       n.nspname::pg_catalog.text AS schema,
       c.relname::pg_catalog.text AS name,
       c.relkind::pg_catalog.text AS kind,
       c.relrowsecurity AS row_security,
       c.relrowsecurity AND EXISTS (
           SELECT FROM pg_catalog.pg_policy AS y
           JOIN pg_catalog.pg_depend AS d
                ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = y.oid
           WHERE y.polrelid = c.oid
             AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> c.oid
       ) AS policies_read,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END AS definition,
       EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r
               WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN') AS has_user_rules,
       ARRAY(SELECT pn.nspname::pg_catalog.text
             FROM pg_catalog.pg_inherits AS i
             JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
             JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
             WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS parent_schemas,
       ARRAY(SELECT p.relname::pg_catalog.text
             FROM pg_catalog.pg_inherits AS i
             JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
             WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS parent_names
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND n.nspname NOT IN ('information_schema', 'shardproxy')
  AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname
