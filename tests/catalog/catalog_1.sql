-- What the catalog's server has besides its shard's own fence: the versions of the map, the moves and their journal, and
-- the sidecars that have told of themselves.

-- The row with the largest epoch is in force. The document is topology/map_document.py's.
CREATE TABLE shardproxy.map (
    epoch     integer PRIMARY KEY CHECK (epoch > 0),
    document  jsonb NOT NULL,
    why       text NOT NULL,
    published timestamptz NOT NULL DEFAULT pg_catalog.now(),
    publisher text NOT NULL DEFAULT session_user
);

-- One row a move, for ever; step is the newest that was begun, and rebalance/steps says what each does.
CREATE TABLE shardproxy.move (
    move     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (move < 2147483648),
    source   text NOT NULL,
    target   text NOT NULL CHECK (target <> source),
    what     jsonb NOT NULL,             -- {"group": ..., "keys": [...]} or {"buckets": [...]}
    options  jsonb NOT NULL DEFAULT '{}',
    step     text NOT NULL,
    state    text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'aborting', 'done', 'aborted')),
    facts    jsonb NOT NULL DEFAULT '{}',  -- what later steps and a resumed move need: names, positions, counts
    failure  text,                         -- why the last attempt stopped; NULL while it runs
    created  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated  timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- What happened, for people.
CREATE TABLE shardproxy.move_log (
    entry  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    move   bigint NOT NULL REFERENCES shardproxy.move,
    at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    step   text NOT NULL,
    what   text NOT NULL
);
CREATE INDEX ON shardproxy.move_log (move, entry);

-- Who runs where and in which epoch: told by the sidecars themselves, for people. No safety rests on it.
CREATE TABLE shardproxy.sidecar (
    sidecar uuid PRIMARY KEY,
    host    text NOT NULL,
    pid     integer NOT NULL,
    version text NOT NULL,
    epoch   integer NOT NULL,
    started timestamptz NOT NULL,
    seen    timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE FUNCTION shardproxy.i_am(me uuid, my_host text, my_pid integer, my_version text, my_epoch integer, since timestamptz)
RETURNS void LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
    INSERT INTO shardproxy.sidecar (sidecar, host, pid, version, epoch, started)
    VALUES (me, my_host, my_pid, my_version, my_epoch, since)
    ON CONFLICT (sidecar) DO UPDATE SET epoch = my_epoch, seen = pg_catalog.now();
    DELETE FROM shardproxy.sidecar WHERE seen < pg_catalog.now() - INTERVAL '1 day';
END;
REVOKE ALL ON FUNCTION shardproxy.i_am FROM PUBLIC;
