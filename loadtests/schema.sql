-- pgbench's own tables with a tenant in front of every key, so that each statement names its shard.
CREATE TABLE bench_tenants (
    tenant_id int PRIMARY KEY,
    bbalance  int NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE bench_tellers (
    tenant_id int NOT NULL,
    tid       int NOT NULL,
    tbalance  int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, tid)
) WITH (fillfactor = 50);
CREATE TABLE bench_accounts (
    tenant_id int NOT NULL,
    aid       int NOT NULL,
    abalance  int NOT NULL DEFAULT 0,
    filler    char(84) NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, aid)
) WITH (fillfactor = 90);
CREATE TABLE bench_history (
    tenant_id int NOT NULL,
    tid       int NOT NULL,
    aid       int NOT NULL,
    delta     int NOT NULL,
    mtime     timestamptz NOT NULL
);
