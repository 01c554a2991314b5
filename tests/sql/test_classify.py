"""Command tags as CommandComplete has them."""

import pytest

from shardproxy.sql import grammar
from shardproxy.sql.analysis.tree import inner
from shardproxy.sql.classify import command_tag


@pytest.mark.parametrize(
    ("sql", "tag"),
    [
        ("SELECT 1", "SELECT"),
        ("VALUES (1)", "SELECT"),
        ("TABLE t", "SELECT"),
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", "MERGE"),
        ("START TRANSACTION", "START TRANSACTION"),
        ("ROLLBACK TO s", "ROLLBACK"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED"),
        ("SET a.b = 1", "SET"),
        ("RESET a.b", "RESET"),
        ("DISCARD ALL", "DISCARD ALL"),
        ("DEALLOCATE ALL", "DEALLOCATE ALL"),
        ("CREATE TABLE t AS SELECT 1", "SELECT"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW"),
        ("DROP VIEW v", "DROP VIEW"),
        ("DROP FOREIGN TABLE v", "DROP FOREIGN TABLE"),
        ("DROP SERVER s", "DROP SERVER"),
        ("ALTER INDEX i SET (fillfactor = 50)", "ALTER INDEX"),
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE"),
        ("ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE"),
        ("ALTER FUNCTION f() OWNER TO app", "ALTER FUNCTION"),
        ("ALTER TYPE t SET SCHEMA s", "ALTER TYPE"),
        ("CREATE AGGREGATE a (int) (sfunc = f, stype = int)", "CREATE AGGREGATE"),
        ("CREATE PUBLICATION p", "CREATE PUBLICATION"),
        ("CREATE ROLE r", "CREATE ROLE"),
        ("VACUUM", "VACUUM"),
        ("ANALYZE", "ANALYZE"),
        ("CLOSE ALL", "CLOSE CURSOR ALL"),
        ("MOVE c", "MOVE"),
    ],
)
def test_command_tag(sql: str, tag: str) -> None:
    assert command_tag(inner(grammar.parse(sql).stmts[0].stmt)) == tag
