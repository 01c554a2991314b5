-- The columns that are copied, of tables named by two parallel arrays: those that the server does not compute itself.
-- binary: every column has a binary form, and none with an OID in it, which differs from server to server.
-- identity: the columns of the primary key. refers_to: the tables that its foreign keys lead to, as {schema,name,schema,name ...}.
SELECT n.nspname::text AS schema, c.relname::text AS name,
       array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '') AS columns,
       bool_and(t.oid < 16384 AND t.typsend <> 0 AND t.typtype <> 'c' AND t.typname !~ '^_?reg') AS binary,
       ARRAY(SELECT k.attname::text FROM pg_index AS i
             JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey::int2[])
             WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.attnum) AS identity,
       ARRAY(SELECT part.name
             FROM pg_constraint AS f
             JOIN pg_class AS p ON p.oid = f.confrelid
             JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
             CROSS JOIN LATERAL unnest(ARRAY[pn.nspname::text, p.relname::text]) WITH ORDINALITY AS part (name, place)
             WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.confrelid <> f.conrelid
             ORDER BY f.oid, part.place) AS refers_to
FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace AS n ON n.nspname = wanted.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
GROUP BY n.nspname, c.relname, c.oid
ORDER BY n.nspname, c.relname
