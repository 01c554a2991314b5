-- From version 1 of the catalog to version 2.
ALTER TABLE shardproxy.sidecar ADD COLUMN shards text[];
DROP FUNCTION shardproxy.i_am(uuid, text, integer, text, integer, timestamptz);
