import asyncio

import pytest

from shardproxy.client import NotShardproxy, RouteDecision, connect

AS_THE_PROXY_ANSWERS = (
    "SELECT 'north, south' AS shards, 'primary' AS role, $1::text AS reason, NULL::text AS keys"
)


def route(dsn: str, sql: str, *args: object) -> RouteDecision:
    async def main() -> RouteDecision:
        async with connect(dsn, max_size=1) as db:
            return await db.route(sql, *args)

    return asyncio.run(main())


def test_the_answer_becomes_a_decision(dsn: str) -> None:
    decision = route(dsn, AS_THE_PROXY_ANSWERS, "no key")
    assert decision == RouteDecision(("north", "south"), "primary", "no key", ())


def test_a_server_without_the_answers_columns_is_not_the_proxy(dsn: str) -> None:
    with pytest.raises(NotShardproxy):
        route(dsn, "SELECT 1")


def test_a_decision_reads_as_a_sentence() -> None:
    decision = RouteDecision(("north",), "replica", "one key", ("acme",))
    assert str(decision) == "north (replica) for acme: one key"
    assert str(RouteDecision(("a", "b"), "primary", "all", ())) == "a, b (primary): all"
