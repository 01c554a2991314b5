-- From version 1 of every shard's fence to version 2.
ALTER TABLE shardproxy.shard ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE shardproxy.shard ALTER COLUMN version DROP DEFAULT;
CREATE TABLE shardproxy.map_copy (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch    integer NOT NULL,
    document jsonb NOT NULL
);
