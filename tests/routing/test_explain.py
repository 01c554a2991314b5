"""A decision in words: shard names, role, keys with their buckets, and the reason."""

import json
from dataclasses import asdict

from shardproxy.errors import ShardproxyError
from shardproxy.routing.explain import ExplainedKey, Explanation, explain
from shardproxy.routing.parameters import BindValues, NoValues, Values
from shardproxy.routing.router import RoutingContext, route
from shardproxy.sql.statement import KeySet, Kind, Parameter, Reach, Statement
from shardproxy.topology.keys import KeyFamily, bucket
from shardproxy.topology.shard_map import ShardMap
from tests.topology.maps import key_on

DEVICE = Statement(
    Kind.QUERY,
    "SELECT",
    Reach.KEYED,
    key_sets=(KeySet("device", KeyFamily.INTEGER, (Parameter(1, array=True),)),),
    fan_out=True,
)


def explained(statement: Statement, values: Values, the_map: ShardMap) -> Explanation:
    try:
        outcome = route(statement, values, RoutingContext(), the_map)
    except ShardproxyError as error:
        return explain(statement, error, the_map, values)
    return explain(statement, outcome, the_map, values)


def test_one_shard_is_named_with_its_keys_and_their_buckets(the_map: ShardMap) -> None:
    said = explained(DEVICE, BindValues((), (b"{42,42,NULL}",)), the_map)
    key = ExplainedKey("device", "42", bucket(KeyFamily.INTEGER, 42), "b", placed=True)
    assert said == Explanation("one shard", ("b",), "primary", "the shard that owns its key", (key,))
    assert json.loads(json.dumps(asdict(said)))["keys"][0]["bucket"] == key.bucket


def test_several_shards_are_named_in_the_order_of_the_map(the_map: ShardMap) -> None:
    keys = [key_on(the_map, shard, "device") for shard in (2, 0)]
    said = explained(DEVICE, BindValues((), (f"{{{','.join(keys)}}}".encode(),)), the_map)
    assert (said.decision, said.shards) == ("several shards", ("a", "c"))
    assert [(key.text, key.shard, key.placed) for key in said.keys] == [
        (keys[0], "c", False),
        (keys[1], "a", False),
    ]


def test_anywhere_names_the_designated_shard(the_map: ShardMap) -> None:
    said = explained(Statement(Kind.QUERY, "SELECT", Reach.ANYWHERE), NoValues(), the_map)
    assert (said.decision, said.shards, said.keys) == ("any shard", ("a",), ())


def test_a_refusal_is_said_with_its_sqlstate_and_hint(the_map: ShardMap) -> None:
    said = explained(Statement(Kind.QUERY, "SELECT", Reach.UNBOUND), NoValues(), the_map)
    assert (said.decision, said.shards, said.role, said.sqlstate) == ("refused", (), "", "0A000")
    assert said.reason.startswith("shardproxy does not run this statement: ")
    assert said.hint is not None


def test_keys_without_a_readable_value_are_left_out(the_map: ShardMap) -> None:
    said = explained(DEVICE, NoValues(), the_map)
    assert (said.decision, said.sqlstate, said.keys) == ("refused", "42P02", ())
