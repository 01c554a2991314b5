SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
