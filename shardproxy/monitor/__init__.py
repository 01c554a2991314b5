"""Background views of the servers: their health, lag and schema. Uses asyncpg, off the query path."""
