-- The sequences that give values to columns of the tables named by two parallel arrays: those that belong to a column
-- (serial, identity) and those that a default names. last_value is NULL as long as none was given out.
WITH wanted AS (
    SELECT c.oid FROM unnest($1::text[], $2::text[]) AS w (schema, name)
    JOIN pg_namespace AS n ON n.nspname = w.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
), used AS (
    SELECT d.objid AS oid FROM pg_depend AS d JOIN wanted AS w ON d.refobjid = w.oid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid FROM pg_depend AS d
    JOIN pg_attrdef AS f ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    JOIN wanted AS w ON f.adrelid = w.oid
    WHERE d.refclassid = 'pg_class'::regclass
)
SELECT s.schemaname::text AS schema, s.sequencename::text AS name,
       s.last_value, s.increment_by AS step, s.min_value AS least, s.max_value AS most
FROM used AS u
JOIN pg_class AS c ON c.oid = u.oid AND c.relkind = 'S'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_sequences AS s ON s.schemaname = n.nspname AND s.sequencename = c.relname
WHERE NOT s.cycle
ORDER BY 1, 2
