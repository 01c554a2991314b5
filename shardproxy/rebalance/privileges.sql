-- What a role may do with tables, named by two parallel arrays: those that are there.
SELECT n.nspname::text AS schema, c.relname::text AS name,
       ARRAY(SELECT w.privilege
             FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS w (privilege)
             WHERE has_schema_privilege($3::name, n.oid, 'USAGE') AND has_table_privilege($3::name, c.oid, w.privilege)
       ) AS privileges
FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace AS n ON n.nspname = wanted.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
