"""Every statement of the analysis tests, for properties that hold for any statement."""

from tests.sql import (
    test_analysis_changes,
    test_analysis_fan_out,
    test_analysis_joins,
    test_analysis_select,
    test_analysis_subqueries,
)


def _texts(*tables: list) -> list[str]:
    return [row if isinstance(row, str) else row[0] for table in tables for row in table]


QUERIES: list[str] = _texts(
    test_analysis_select.BOUND,
    test_analysis_select.SETS_OF_KEYS,
    test_analysis_select.NULLS_AND_WRONG_VALUES,
    test_analysis_select.NOT_BOUND,
    test_analysis_joins.JOINS,
    test_analysis_joins.OUTER_JOINS,
    test_analysis_joins.NAMES,
    test_analysis_subqueries.SUBLINKS,
    test_analysis_subqueries.DERIVED,
    test_analysis_subqueries.LATERAL,
    test_analysis_subqueries.SET_OPERATIONS,
    test_analysis_subqueries.CTES,
    test_analysis_subqueries.VIEWS,
    test_analysis_fan_out.CONCATENATED,
    test_analysis_fan_out.REFUSED,
)
CHANGES: list[str] = _texts(
    test_analysis_changes.INSERTS,
    test_analysis_changes.INSERT_SELECT,
    test_analysis_changes.UPDATES_AND_DELETES,
    test_analysis_changes.MERGES,
)
