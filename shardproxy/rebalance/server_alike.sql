-- What two shards should have in common besides their schema.
SELECT current_setting('server_version_num')::int4 AS version,
       current_setting('server_version') AS version_text,
       pg_is_in_recovery() AS standby,
       current_setting('server_encoding') AS encoding,
       d.datlocprovider::text AS provider,
       d.datcollate::text AS collate,
       d.datctype::text AS ctype,
       COALESCE(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', '') AS locale,
       COALESCE(pg_database_collation_actual_version(d.oid), '') AS collation_version,
       ARRAY(SELECT e.extname || ' ' || e.extversion FROM pg_extension AS e ORDER BY e.extname) AS extensions,
       EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = $1) AS role_exists
FROM pg_database AS d
WHERE d.datname = current_database()
