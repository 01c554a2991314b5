-- What the catalog's server can do besides.

CREATE OR REPLACE FUNCTION shardproxy.i_am(
    me uuid, my_host text, my_pid integer, my_version text, my_epoch integer, since timestamptz,
    my_shards text[] DEFAULT NULL
) RETURNS void LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    INSERT INTO shardproxy.sidecar (sidecar, host, pid, version, epoch, started, shards)
    VALUES (me, my_host, my_pid, my_version, my_epoch, since, my_shards)
    ON CONFLICT (sidecar) DO UPDATE SET epoch = my_epoch, seen = pg_catalog.now(), shards = my_shards;
    DELETE FROM shardproxy.sidecar WHERE seen < pg_catalog.now() - INTERVAL '1 day';
END;
REVOKE ALL ON FUNCTION shardproxy.i_am FROM PUBLIC;

CREATE OR REPLACE FUNCTION shardproxy.i_leave(me uuid) RETURNS void LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    DELETE FROM shardproxy.sidecar WHERE sidecar = me;
END;
REVOKE ALL ON FUNCTION shardproxy.i_leave FROM PUBLIC;
