-- Functions that are called where a relation is used, without being named in a statement: by defaults, CHECKs, policies
-- and the conditions of triggers. pg_depend has those of users, operators' among them; built-in functions that run text
-- are found in the expression's tree. A type stands for the functions of types.sql. (What indexes and generated columns
-- call has to be immutable.)
WITH run_text AS MATERIALIZED (
    SELECT pg_catalog.concat(':funcid (', pg_catalog.string_agg(f.oid::pg_catalog.text, '|'), ') ') AS pattern
    FROM pg_catalog.pg_proc AS f
    WHERE f.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
      AND f.proname ~ '^((table|query|cursor|schema|database)_to_xml.*|ts_stat|lo_.*)$'
), expression AS (
    SELECT d.adrelid AS relation, 'default' AS kind, a.attname AS name,
           'pg_catalog.pg_attrdef'::pg_catalog.regclass AS classid, d.oid AS objid, 0::pg_catalog.oid AS but,
           d.adbin::pg_catalog.text AS tree, ARRAY['INSERT', 'UPDATE'] AS events
    FROM pg_catalog.pg_attrdef AS d
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    UNION ALL
    SELECT k.conrelid, 'check', k.conname, 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid,
           0::pg_catalog.oid, k.conbin::pg_catalog.text, ARRAY['INSERT', 'UPDATE']
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contype IN ('c', 'x') AND k.conrelid <> 0
    UNION ALL
    SELECT y.polrelid, 'policy', y.polname, 'pg_catalog.pg_policy'::pg_catalog.regclass, y.oid,
           0::pg_catalog.oid, pg_catalog.concat(y.polqual, y.polwithcheck),
           ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']
    FROM pg_catalog.pg_policy AS y
    JOIN pg_catalog.pg_class AS c ON c.oid = y.polrelid AND c.relrowsecurity
    UNION ALL
    SELECT t.tgrelid, 'trigger', t.tgname, 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, t.tgfoid,
           t.tgqual::pg_catalog.text,
           pg_catalog.array_remove(ARRAY[CASE WHEN t.tgtype & 4 <> 0 THEN 'INSERT' END,
                                         CASE WHEN t.tgtype & 16 <> 0 THEN 'UPDATE' END,
                                         CASE WHEN t.tgtype & 8 <> 0 THEN 'DELETE' END], NULL)
    FROM pg_catalog.pg_trigger AS t
    WHERE t.tgqual IS NOT NULL AND t.tgenabled <> 'D'
), called AS (
    SELECT e.relation, e.kind, e.name, e.events, f.pronamespace AS namespace, f.proname AS function,
           CASE WHEN d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass THEN d.refobjid END AS type_oid
    FROM expression AS e
    JOIN pg_catalog.pg_depend AS d ON d.classid = e.classid AND d.objid = e.objid
    LEFT JOIN pg_catalog.pg_operator AS o
         ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid
    LEFT JOIN pg_catalog.pg_proc AS f
         ON f.oid = CASE WHEN d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid <> e.but
                         THEN d.refobjid ELSE o.oprcode END
    WHERE d.refclassid IN ('pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                           'pg_catalog.pg_operator'::pg_catalog.regclass)
      AND (f.oid IS NOT NULL OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass)
    UNION
    SELECT e.relation, e.kind, e.name, e.events, f.pronamespace, f.proname, NULL
    FROM expression AS e
    CROSS JOIN run_text
    CROSS JOIN LATERAL pg_catalog.regexp_matches(e.tree, run_text.pattern, 'g') AS m (found)
    JOIN pg_catalog.pg_proc AS f ON f.oid = m.found[1]::pg_catalog.oid
    WHERE e.tree ~ run_text.pattern
)
SELECT e.relation::pg_catalog.int8 AS relation, e.kind, e.name::pg_catalog.text AS name, e.events,
       fn.nspname::pg_catalog.text AS function_schema, e.function::pg_catalog.text AS function_name,
       e.type_oid::pg_catalog.int8 AS type_oid
FROM called AS e
JOIN pg_catalog.pg_class AS c ON c.oid = e.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_namespace AS fn ON fn.oid = e.namespace
WHERE n.nspname <> 'information_schema'
  AND n.nspname !~ '^pg_'
ORDER BY 1, 2, 3, 5, 6, 7
