-- What a server has for moves from it and to it. Slots, senders and workers are the whole server's.
SELECT pg_is_in_recovery() AS standby,
       current_setting('server_version_num')::int4 AS version,
       current_setting('wal_level') AS wal_level,
       current_user::text AS "user",
       current_database()::text AS database,
       current_setting('is_superuser')::bool AS superuser,
       (SELECT r.rolreplication FROM pg_roles AS r WHERE r.rolname = current_user) AS replication,
       COALESCE((SELECT pg_has_role(r.oid, 'USAGE') FROM pg_roles AS r WHERE r.rolname = 'pg_create_subscription'), false)
           AS may_subscribe,
       pg_has_role('pg_signal_backend', 'USAGE') AS may_signal,
       pg_has_role('pg_read_all_stats', 'USAGE') AS may_see,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       has_parameter_privilege('session_replication_role', 'SET') AS may_replicate,
       current_setting('max_replication_slots')::int4 - (SELECT count(*) FROM pg_replication_slots)::int4 AS free_slots,
       current_setting('max_wal_senders')::int4
           - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')::int4 AS free_senders,
       COALESCE(current_setting('max_active_replication_origins', true), current_setting('max_replication_slots'))::int4
           - (SELECT count(*) FROM pg_replication_origin)::int4 AS free_origins,
       LEAST(current_setting('max_logical_replication_workers')::int4
               - (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%worker')::int4,
             current_setting('max_worker_processes')::int4
               - (SELECT count(*) FROM pg_stat_activity
                  WHERE backend_type LIKE 'logical replication%' OR backend_type = 'parallel worker')::int4
       ) AS free_workers,
       ARRAY(SELECT gid FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - INTERVAL '2 seconds'
             ORDER BY prepared LIMIT 10) AS prepared,
       EXISTS (SELECT FROM pg_largeobject_metadata) AS large_objects
