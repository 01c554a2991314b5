"""The server that is measured: one PostgreSQL that holds every tenant, so that each target has the same
one behind it.
"""

from pathlib import Path
from typing import Final

from shardproxy.demo.postgres import Server
from shardproxy.demo.run import Run

DATABASE: Final = "bench"
USER: Final = "bench"
TABLES: Final = ("bench_tenants", "bench_tellers", "bench_accounts", "bench_history")
KEY: Final = "tenant_id"

_SCHEMA = Path(__file__).with_name("schema.sql")
_ROWS = """
INSERT INTO bench_tenants SELECT t FROM generate_series(1, {tenants}) t;
INSERT INTO bench_tellers SELECT t, i FROM generate_series(1, {tenants}) t, generate_series(1, 10) i;
INSERT INTO bench_accounts SELECT t, i FROM generate_series(1, {tenants}) t, generate_series(1, 1000) i;
VACUUM ANALYZE;
CHECKPOINT;
"""
_TIDY = "TRUNCATE bench_history; VACUUM bench_tenants, bench_tellers, bench_accounts; CHECKPOINT;"


def create(run: Run, tenants: int) -> Server:
    """A running server with 1,000 accounts and 10 tellers for each tenant."""
    settings = {"shared_buffers": "256MB", "autovacuum": "off"}
    server = Server.create(run, "bench", settings=settings, auth="trust").start()
    server.query(f"CREATE ROLE {USER} LOGIN IN ROLE pg_monitor; CREATE DATABASE {DATABASE} OWNER {USER};")
    server.query(_SCHEMA.read_text(), dbname=DATABASE, user=USER)
    server.query(_ROWS.format(tenants=tenants).replace(";", ";\n"), dbname=DATABASE)
    return server


def tidy(server: Server) -> None:
    """Undo what a round left (dead rows, history), so that every round starts alike."""
    server.query(_TIDY.replace(";", ";\n"), dbname=DATABASE)
