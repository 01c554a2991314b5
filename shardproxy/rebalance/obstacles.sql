-- What is in the way of a move in the tables named by parallel arrays ($1 schemas, $2 names, $3 their sharding keys,
-- $4 their groups) on one server; $5 and $6 name the reference tables, $7 and $8 all that the configuration names. One row an obstacle: what kind, which table, and
-- the detail that differs from kind to kind.
WITH wanted AS (
    SELECT w.schema, w.name, w.key, w.place, c.oid, c.relkind, c.relpersistence, c.relowner,
           k.attnum AS key_number, k.attgenerated AS key_generated, k.attcollation AS key_collation
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w (schema, name, key, place)
    LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace)
           ON n.nspname = w.schema AND c.relname = w.name
    LEFT JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attname = w.key AND NOT k.attisdropped
), leaf AS (  -- the tables themselves, and the partitions of partitioned ones, down to where the rows are
    SELECT w.*, p.relid AS part, p.isleaf, child.relpersistence AS part_persistence, child.relkind AS part_kind,
           child.relreplident AS identity,
           (SELECT a.attnum FROM pg_attribute AS a
            WHERE a.attrelid = p.relid AND a.attname = w.key AND NOT a.attisdropped) AS part_key
    FROM wanted AS w
    CROSS JOIN LATERAL (
        SELECT w.oid::regclass AS relid, true AS isleaf WHERE w.relkind = 'r'
        UNION ALL
        SELECT t.relid, t.isleaf FROM pg_partition_tree(w.oid::regclass) AS t WHERE w.relkind = 'p'
    ) AS p
    JOIN pg_class AS child ON child.oid = p.relid
), identity AS (  -- the index that names a row to the target, where there is one
    SELECT l.*, i.indexrelid, i.indkey
    FROM leaf AS l
    LEFT JOIN pg_index AS i ON i.indrelid = l.part
        AND ((l.identity = 'd' AND i.indisprimary) OR (l.identity = 'i' AND i.indisreplident))
    WHERE l.isleaf AND l.part_kind = 'r'
), reference AS (
    SELECT c.oid FROM unnest($5::text[], $6::text[]) AS r (schema, name)
    JOIN pg_namespace AS n ON n.nspname = r.schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.name
), grouped AS (
    SELECT w.oid, w.key_number, g."group" FROM wanted AS w
    JOIN unnest($4::text[]) WITH ORDINALITY AS g ("group", place) ON g.place = w.place
), member AS (  -- what moves, partitions too
    SELECT part AS oid FROM leaf
)
SELECT 'missing' AS kind, schema, name, '' AS detail FROM wanted WHERE oid IS NULL
UNION ALL
SELECT 'no key column', schema, name, key FROM wanted WHERE oid IS NOT NULL AND key_number IS NULL
UNION ALL
SELECT 'no table', schema, name, relkind::text FROM wanted WHERE relkind NOT IN ('r', 'p')
UNION ALL
SELECT 'foreign partition', schema, name, part::text FROM leaf WHERE part_kind = 'f'
UNION ALL
SELECT 'unlogged', schema, name, part::text FROM leaf WHERE isleaf AND part_persistence <> 'p'
UNION ALL
SELECT 'inheritance', w.schema, w.name, i.inhrelid::regclass::text
FROM wanted AS w JOIN pg_inherits AS i ON i.inhparent = w.oid WHERE w.relkind = 'r'
UNION ALL
SELECT 'inheritance', w.schema, w.name, i.inhparent::regclass::text
FROM wanted AS w JOIN pg_inherits AS i ON i.inhrelid = w.oid
UNION ALL
SELECT 'generated key', schema, name, key FROM wanted WHERE key_generated <> ''
UNION ALL
SELECT 'user collation', schema, name, key FROM wanted WHERE key_collation >= 16384
UNION ALL
SELECT 'no identity', schema, name, part::text FROM identity
WHERE identity = 'n' OR (identity IN ('d', 'i') AND indexrelid IS NULL)
UNION ALL
SELECT 'identity without key', schema, name, indexrelid::regclass::text FROM identity
WHERE indexrelid IS NOT NULL AND NOT part_key = ANY (indkey::int2[])
UNION ALL
SELECT 'generated identity', i.schema, i.name, a.attname::text
FROM identity AS i JOIN pg_attribute AS a ON a.attrelid = i.part AND a.attnum = ANY (i.indkey::int2[])
WHERE a.attgenerated <> ''
UNION ALL
SELECT 'slow identity', schema, name, part::text FROM identity
WHERE identity = 'f' AND NOT EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = part AND x.indisprimary)
UNION ALL
SELECT 'unique without key', l.schema, l.name, i.indexrelid::regclass::text
FROM leaf AS l JOIN pg_index AS i ON i.indrelid = l.part
WHERE (i.indisunique OR i.indisexclusion)
  AND NOT (i.indisunique AND l.part_key = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
  AND NOT (i.indisexclusion AND EXISTS (
        SELECT FROM pg_constraint AS x
        CROSS JOIN LATERAL unnest(x.conkey, x.conexclop) AS e (number, operator)
        JOIN pg_operator AS o ON o.oid = e.operator
        WHERE x.conindid = i.indexrelid AND e.number = l.part_key AND o.oprname = '='))
  AND NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = i.indexrelid)  -- the parent's is named
UNION ALL
SELECT DISTINCT 'trigger', l.schema, l.name, t.tgname::text
FROM leaf AS l JOIN pg_trigger AS t ON t.tgrelid = l.part
WHERE NOT t.tgisinternal AND t.tgenabled IN ('A', 'R')
UNION ALL
SELECT DISTINCT 'rule', l.schema, l.name, r.rulename::text
FROM leaf AS l JOIN pg_rewrite AS r ON r.ev_class = l.part WHERE r.ev_enabled IN ('A', 'R')
UNION ALL
SELECT DISTINCT 'foreign key to elsewhere', w.schema, w.name, f.conname || ' -> ' || f.confrelid::regclass::text
FROM wanted AS w JOIN pg_constraint AS f ON f.conrelid = w.oid AND f.contype = 'f'
WHERE f.conparentid = 0
  AND f.confrelid NOT IN (SELECT oid FROM reference)
  AND NOT EXISTS (
        SELECT FROM grouped AS mine
        JOIN grouped AS theirs ON theirs."group" = mine."group" AND theirs.oid = f.confrelid
        CROSS JOIN LATERAL unnest(f.conkey, f.confkey) AS pair (mine, theirs)
        WHERE mine.oid = w.oid AND pair.mine = mine.key_number AND pair.theirs = theirs.key_number)
UNION ALL
SELECT DISTINCT 'foreign key from elsewhere', w.schema, w.name, f.conname || ' <- ' || f.conrelid::regclass::text
FROM wanted AS w JOIN pg_constraint AS f ON f.confrelid = w.oid AND f.contype = 'f'
WHERE f.conparentid = 0 AND f.conrelid NOT IN (SELECT oid FROM member)
UNION ALL
SELECT 'row security', schema, name, '' FROM wanted WHERE oid IS NOT NULL AND row_security_active(oid::oid)
UNION ALL
SELECT 'not owner', w.schema, w.name, pg_get_userbyid(w.relowner)::text FROM wanted AS w
WHERE w.oid IS NOT NULL AND NOT pg_has_role(w.relowner, 'USAGE')
UNION ALL
SELECT DISTINCT 'not configured', n.nspname::text, c.relname::text, k.attname::text
FROM wanted AS w
JOIN pg_attribute AS k ON k.attname = w.key AND k.attnum > 0 AND NOT k.attisdropped
JOIN pg_class AS c ON c.oid = k.attrelid AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'shardproxy')
  AND c.oid NOT IN (SELECT oid FROM member)
  AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM unnest($7::text[], $8::text[]) AS known (schema, name)
                  WHERE known.schema = n.nspname AND known.name = c.relname)
ORDER BY 2, 3, 1, 4
