\set tenant random(1, :tenants)
\set aid random(1, 1000)
\set tid random(1, 10)
\set delta random(-5000, 5000)
BEGIN;
UPDATE bench_accounts SET abalance = abalance + :delta WHERE tenant_id = :tenant AND aid = :aid;
SELECT abalance FROM bench_accounts WHERE tenant_id = :tenant AND aid = :aid;
UPDATE bench_tellers SET tbalance = tbalance + :delta WHERE tenant_id = :tenant AND tid = :tid;
UPDATE bench_tenants SET bbalance = bbalance + :delta WHERE tenant_id = :tenant;
INSERT INTO bench_history (tenant_id, tid, aid, delta, mtime) VALUES (:tenant, :tid, :aid, :delta, CURRENT_TIMESTAMP);
END;
