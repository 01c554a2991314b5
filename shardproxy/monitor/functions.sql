-- Functions, aggregates, window functions and procedures outside the system schemas. The source of an aggregate is the
-- names of the functions it is made of; a body written as BEGIN ATOMIC is printed. types has what a call brings with it:
-- the defaults of arguments, and the types, which may be domains.
SELECT n.nspname::pg_catalog.text AS schema,
       p.proname::pg_catalog.text AS name,
       p.provolatile::pg_catalog.text AS volatility,
       p.prokind::pg_catalog.text AS kind,
       p.pronargs::pg_catalog.int4 AS argument_count,
       p.proretset AS returns_set,
       (SELECT e.extname::pg_catalog.text
        FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass) AS extension,
       l.lanname::pg_catalog.text AS language,
       p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype AS is_trigger,
       COALESCE(p.proconfig, '{}')::pg_catalog.text[] AS settings,
       pg_catalog.concat_ws(' ', pg_catalog.pg_get_expr(p.proargdefaults, 0),
                            pg_catalog.format_type(p.prorettype, NULL),
                            (SELECT pg_catalog.string_agg(pg_catalog.format_type(u.type, NULL), ' ')
                             FROM pg_catalog.unnest(COALESCE(p.proallargtypes, p.proargtypes::pg_catalog.oid[]))
                                  AS u (type))) AS types,
       CASE WHEN a.aggfnoid IS NOT NULL
            THEN pg_catalog.concat_ws(' ', a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                                      a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
            ELSE COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) END AS source
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
LEFT JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = p.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('information_schema', 'shardproxy')
  AND n.nspname !~ '^pg_'
ORDER BY p.proname, n.nspname, pg_catalog.pg_get_function_identity_arguments(p.oid)
