-- What moves have in this database, by name: what kind, its name, and the move's number.
SELECT 'session' AS kind, a.application_name AS name, substring(a.application_name FROM '([0-9]+)$')::int8 AS move
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.application_name ~ '^shardproxy (move|snapshot) [0-9]{1,10}$'
UNION  -- several sessions of one name are ended together
SELECT 'subscription', s.subname::text, substring(s.subname FROM '([0-9]+)$')::int8
FROM pg_subscription AS s
WHERE s.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND s.subname ~ '^shardproxy_(move|back)_[0-9]{1,10}$'
UNION
SELECT 'slot', r.slot_name::text, substring(r.slot_name FROM '_([0-9]+)_[0-9]+$')::int8
FROM pg_replication_slots AS r
WHERE r.database = current_database() AND r.slot_name ~ '^shardproxy_(move|back)_[0-9]{1,10}_[0-9]+$'
UNION
SELECT 'publication', p.pubname::text, substring(p.pubname FROM '([0-9]+)$')::int8
FROM pg_publication AS p WHERE p.pubname ~ '^shardproxy_(move|back)_[0-9]{1,10}$'
UNION
SELECT 'fence', 'shardproxy_move_' || number || '_*', number::int8
FROM (SELECT substring(t.tgname FROM '^shardproxy_move_([0-9]{1,10})_')
      FROM pg_trigger AS t JOIN pg_proc AS f ON f.oid = t.tgfoid
      WHERE f.pronamespace = 'shardproxy'::regnamespace
      UNION
      SELECT substring(p.proname FROM '^shardproxy_move_([0-9]{1,10})_[0-9]+$')
      FROM pg_proc AS p WHERE p.pronamespace = 'shardproxy'::regnamespace) AS f (number)
WHERE number IS NOT NULL
UNION
SELECT 'marker', count(*) || ' rows of shardproxy.marker', m.move FROM shardproxy.marker AS m GROUP BY m.move
UNION
SELECT 'state', 'shardproxy.moving: ' || g.state, g.move FROM shardproxy.moving AS g
ORDER BY move, kind, name
