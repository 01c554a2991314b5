"""set_config(): followed like SET where it stands alone, else only for settings that do not matter to us."""

import pytest

from shardproxy.errors import Refused
from shardproxy.sql.analysis import analyze
from shardproxy.sql.statement import SettingChange, Statement
from tests.support.sample_schema import RULES, SCHEMA, SEARCH_PATH


def plan(sql: str) -> Statement:
    (statement,) = analyze(sql, schema=SCHEMA, rules=RULES, search_path=SEARCH_PATH)
    return statement


def test_the_columns_of_a_plain_select_are_followed_and_pin_nothing() -> None:
    statement = plan("SELECT current_setting('jit') AS cur, set_config('JIT', 'off', false) AS new")
    assert statement.pins is None
    assert statement.set_config == (SettingChange("jit", "off", False, ""),)


def test_a_parameter_may_be_the_value() -> None:
    statement = plan("SELECT set_config('search_path', $1, true), set_config('role', $2::text, true)")
    assert statement.set_config == (
        SettingChange("search_path", None, True, "", parameter=1),
        SettingChange("role", None, True, "", parameter=2),
    )


def test_a_harmless_setting_inside_a_query_pins_the_session() -> None:
    statement = plan("SELECT set_config('jit', 'off', false) FROM currencies")
    assert (statement.pins, statement.set_config) == ("set_config", ())


def test_a_local_one_inside_a_query_does_not() -> None:
    assert plan("SELECT set_config('jit', 'off', true) FROM currencies").pins is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT set_config('search_path', 'other', true) FROM currencies",
        "SELECT set_config(currency, 'x', false) FROM currencies",
        "SELECT * FROM set_config('search_path', 'other', false)",
        "SELECT upper(set_config('role', 'postgres', false))",
        "SELECT set_config($1, 'x', false)",
    ],
)
def test_a_setting_that_changes_how_statements_are_read_is_refused_inside_a_query(sql: str) -> None:
    statement = plan(sql)
    assert isinstance(statement.refusal, Refused)
    assert "set_config" in statement.refusal.construct


@pytest.mark.parametrize("arguments", ["'shardproxy.tenant'", "'ShardProxy.Tenant', true"])
def test_the_proxys_own_settings_are_read_by_show(arguments: str) -> None:
    refusal = plan(f"SELECT current_setting({arguments})").refusal
    assert refusal is not None
    assert refusal.hint == "SHOW shardproxy.tenant tells it."


def test_whose_setting_is_read_is_not_folded_away() -> None:
    assert not plan("SELECT current_setting('jit')").foldable
