\set tenant random(1, :tenants)
\set aid random(1, 1000)
SELECT abalance FROM bench_accounts WHERE tenant_id = :tenant AND aid = :aid;
