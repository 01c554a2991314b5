-- The functions that the CHECKs of domains call, for every type that is such a domain or has one inside: as an array, a
-- composite or range type or another domain.
WITH RECURSIVE inside (type, part) AS (
    SELECT t.oid, t.oid
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE n.nspname NOT IN ('information_schema', 'shardproxy') AND n.nspname !~ '^pg_'
    UNION
    SELECT i.type, p.part
    FROM inside AS i
    JOIN pg_catalog.pg_type AS t ON t.oid = i.part
    CROSS JOIN LATERAL (
        SELECT t.typbasetype
        UNION ALL
        SELECT t.typelem
        UNION ALL
        SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
        UNION ALL
        SELECT d.refobjid FROM pg_catalog.pg_constraint AS k
        JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
             AND d.objid = k.oid AND d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
        WHERE k.contypid = t.oid
    ) AS p (part)
    WHERE p.part >= 16384
), called AS (
    SELECT k.contypid AS part, f.pronamespace AS namespace, f.proname AS function
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_depend AS d
         ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
    LEFT JOIN pg_catalog.pg_operator AS o
         ON d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND o.oid = d.refobjid
    JOIN pg_catalog.pg_proc AS f
         ON f.oid = CASE WHEN d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                         THEN d.refobjid ELSE o.oprcode END
    WHERE k.contypid <> 0 AND f.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
    UNION
    SELECT k.contypid, 'pg_catalog'::pg_catalog.regnamespace, m.found[1]::pg_catalog.name
    FROM pg_catalog.pg_constraint AS k
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        pg_catalog.pg_get_constraintdef(k.oid),
        '\m((?:table|query|cursor|schema|database)_to_xml\w*|ts_stat|lo_\w+)\s*\(', 'g') AS m (found)
    WHERE k.contypid <> 0
)
SELECT DISTINCT t.oid::pg_catalog.int8 AS type_oid,
       t.typname::pg_catalog.text AS name,
       fn.nspname::pg_catalog.text AS function_schema,
       e.function::pg_catalog.text AS function_name
FROM inside AS i
JOIN pg_catalog.pg_type AS t ON t.oid = i.type
JOIN called AS e ON e.part = i.part
JOIN pg_catalog.pg_namespace AS fn ON fn.oid = e.namespace
ORDER BY 1, 3, 4
