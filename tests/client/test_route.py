import asyncio

import pytest

from shardproxy.client import NotShardproxy, RouteDecision, connect

AS_THE_PROXY_ANSWERS = "SELECT $1::text AS shards, $2::text AS role, $3::text AS reason, $4::text AS keys"


def route(dsn: str, sql: str, *args: object) -> RouteDecision:
    async def main() -> RouteDecision:
        async with connect(dsn, max_size=1) as db:
            return await db.route(sql, *args)

    return asyncio.run(main())


def test_the_answer_becomes_a_decision(dsn: str) -> None:
    keys = "tenant=acme (bucket 1), tenant=a, b (bucket 22)"
    decision = route(dsn, AS_THE_PROXY_ANSWERS, "north, south", "primary", "two keys", keys)
    assert decision == RouteDecision(
        ("north", "south"), "primary", "two keys", ("tenant=acme (bucket 1)", "tenant=a, b (bucket 22)")
    )
    assert not decision.refused


def test_a_refusal_is_a_decision_without_shards(dsn: str) -> None:
    decision = route(dsn, AS_THE_PROXY_ANSWERS, "", "", "shardproxy does not run this statement: x", None)
    assert decision.refused
    assert (decision.shards, decision.role, decision.keys) == ((), "", ())


def test_a_server_without_the_answers_columns_is_not_the_proxy(dsn: str) -> None:
    with pytest.raises(NotShardproxy):
        route(dsn, "SELECT 1")


def test_a_decision_reads_as_a_sentence() -> None:
    decision = RouteDecision(("north",), "replica", "one key", ("tenant=acme (bucket 1)",))
    assert str(decision) == "north (replica) for tenant=acme (bucket 1): one key"
    assert str(RouteDecision(("a", "b"), "primary", "all", ())) == "a, b (primary): all"
    assert str(RouteDecision((), "", "not run", ())) == "not run"
