"""Two readings of how tables are spread are compared by what they say."""

from dataclasses import replace

import pytest

from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import Reference, TableRules
from tests.topology.maps import RULES


def test_another_object_that_says_the_same() -> None:
    assert RULES.spread_as(TableRules(dict(RULES.rules), dict(RULES.groups), RULES.tenant_group))


def test_what_is_trusted_does_not_count() -> None:
    assert RULES.spread_as(replace(RULES, trusted=frozenset({("public", "f")})))


@pytest.mark.parametrize(
    "change",
    [
        {"rules": {**RULES.rules, ("public", "orders"): Reference()}},
        {"groups": {**RULES.groups, "tenant": KeyFamily.UUID}},
        {"tenant_group": "device"},
    ],
    ids=str,
)
def test_each_thing_that_is_said_otherwise(change: dict[str, object]) -> None:
    assert not RULES.spread_as(replace(RULES, **change))
