-- Casts with a function of users or extensions. unasked: PostgreSQL applies it where it sees fit, not only where the
-- target is named.
SELECT pg_catalog.format_type(k.castsource, NULL) AS source,
       pg_catalog.format_type(k.casttarget, NULL) AS target,
       t.typname::pg_catalog.text AS target_name,
       k.castcontext <> 'e' AS unasked,
       fn.nspname::pg_catalog.text AS function_schema,
       f.proname::pg_catalog.text AS function_name
FROM pg_catalog.pg_cast AS k
JOIN pg_catalog.pg_type AS t ON t.oid = k.casttarget
JOIN pg_catalog.pg_proc AS f ON f.oid = k.castfunc
JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.pronamespace
WHERE fn.nspname <> 'pg_catalog'
ORDER BY 1, 2
