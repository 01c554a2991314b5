-- One look at a server. recovery is evaluated once: a promotion in between must not mix the two cases, and
-- pg_current_wal_lsn() is an error on a replica. Everybody may call these functions; only the timeline that a
-- replica follows needs pg_read_all_stats (a part of pg_monitor) and is NULL without. Positions are in bytes.
WITH recovery AS MATERIALIZED (SELECT pg_catalog.pg_is_in_recovery() AS active)
SELECT recovery.active AS in_recovery,
       CASE WHEN NOT recovery.active
            THEN pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END AS wal_file,
       CASE WHEN NOT recovery.active
            THEN (pg_catalog.pg_current_wal_lsn() - '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8 END AS written,
       CASE WHEN NOT recovery.active  -- a commit that does not wait for its WAL is acknowledged before it is written
            THEN (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8 END AS inserted,
       (pg_catalog.pg_last_wal_receive_lsn() - '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8 AS received,
       (pg_catalog.pg_last_wal_replay_lsn() - '0/0'::pg_catalog.pg_lsn)::pg_catalog.int8 AS replayed,
       (EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())
       )::pg_catalog.float8 AS replay_age,
       EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) AS streaming,
       (SELECT w.received_tli FROM pg_catalog.pg_stat_wal_receiver AS w) AS followed_timeline,
       EXISTS (SELECT FROM pg_catalog.pg_class AS c
               JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
               WHERE n.nspname = 'shardproxy' AND c.relname = 'shard') AS fenced
FROM recovery
