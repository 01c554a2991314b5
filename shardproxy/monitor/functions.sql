-- Functions, aggregates, window functions and procedures outside the system schemas.
SELECT n.nspname::pg_catalog.text AS schema,
       p.proname::pg_catalog.text AS name,
       p.provolatile::pg_catalog.text AS volatility,
       p.prokind::pg_catalog.text AS kind,
       p.pronargs::pg_catalog.int4 AS argument_count,
       p.proretset AS returns_set,
       EXISTS (SELECT FROM pg_catalog.pg_depend AS d
               WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                 AND d.objid = p.oid AND d.deptype = 'e') AS from_extension
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
ORDER BY p.proname, n.nspname, pg_catalog.pg_get_function_identity_arguments(p.oid)
