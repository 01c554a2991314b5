-- What shardproxy keeps on every shard: which installation and shard this is, which epochs may run here, and
-- what is moving. Its functions are in shard_functions.sql.

CREATE SCHEMA shardproxy;
GRANT USAGE ON SCHEMA shardproxy TO PUBLIC;  -- of what is in it, only guard() is everybody's

-- One row. A connection may be in an epoch from oldest_epoch (older ones are retired) to newest_epoch (a replica that
-- has not replayed what an epoch stands on has not heard of it).
CREATE TABLE shardproxy.shard (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    installation uuid NOT NULL,
    name         text NOT NULL,
    oldest_epoch integer NOT NULL,
    newest_epoch integer NOT NULL,
    version      integer NOT NULL,  -- of what init has made here, the catalog too if it is here
    CHECK (oldest_epoch <= newest_epoch)
);

-- The moves from this shard, as long as a transaction of an epoch that knows them may run here.
-- moving: this shard owns the rows. fenced: nobody does, a cut-over is under way. moved: the target does.
CREATE TABLE shardproxy.moving (
    move   bigint PRIMARY KEY,
    state  text NOT NULL CHECK (state IN ('moving', 'fenced', 'moved')),
    target text NOT NULL,
    epoch  integer  -- of the map that says "moved"
);

-- Rows that go through the stream of a move behind its changes: when a mark is on the target, so are they.
CREATE TABLE shardproxy.marker (
    move bigint NOT NULL,
    mark uuid NOT NULL,
    PRIMARY KEY (move, mark)
);

-- At most one row: the newest map that concerns this shard, put here after it was published, for sidecars that cannot
-- reach the catalog. It may be missing or old; one that is here was in force.
CREATE TABLE shardproxy.map_copy (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch    integer NOT NULL,
    document jsonb NOT NULL
);
