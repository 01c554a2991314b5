"""Where statements go: one shard when proven, several when concatenation is the answer, refused otherwise."""

from dataclasses import replace

import pytest

from shardproxy.errors import Refused, StatementError
from shardproxy.routing.parameters import BindValues, LiteralValues, NoValues, Values
from shardproxy.routing.route import Anywhere, FanOut, OneShard, ReadPolicy, Role, Route
from shardproxy.routing.router import RoutingContext, route
from shardproxy.sql.statement import Constant, KeySet, KeySource, Kind, Literal, Parameter, Reach, Statement
from shardproxy.topology.keys import InvalidKey, KeyFamily
from shardproxy.topology.shard_map import ShardMap
from tests.topology.maps import ONE, key_on, shard_map

PLAIN = RoutingContext()
REPLICA = RoutingContext(read=ReadPolicy.REPLICA)
A, B, C = range(3)


def tenants(*sources: KeySource) -> KeySet:
    return KeySet("tenant", KeyFamily.TEXT, sources)


def devices(*sources: KeySource) -> KeySet:
    return KeySet("device", KeyFamily.INTEGER, sources)


def select(*key_sets: KeySet, fan_out: bool = True, read_only: bool = True) -> Statement:
    return Statement(
        Kind.QUERY, "SELECT", Reach.KEYED, key_sets=key_sets, fan_out=fan_out, read_only=read_only
    )


UNBOUND = Statement(
    Kind.QUERY, "SELECT", Reach.UNBOUND, fan_out=True, read_only=True, unbound=(("public", "orders"),)
)
ANYWHERE = Statement(Kind.QUERY, "SELECT", Reach.ANYWHERE, read_only=True)
ON_B = Statement(Kind.QUERY, "SELECT", Reach.LOCAL, local_shard="b", read_only=True)


def text(*values: str | None) -> BindValues:
    return BindValues((), [None if value is None else value.encode() for value in values])


def shards_of(decided: Route) -> tuple[int, ...] | None:
    """The shards of a route; None for anywhere."""
    if isinstance(decided, OneShard):
        return (decided.shard,)
    return decided.shards if isinstance(decided, FanOut) else None


class TestOneKey:
    @pytest.mark.parametrize("shard", [A, B, C])
    def test_a_parameter_a_literal_and_a_constant_reach_the_keys_owner(
        self, the_map: ShardMap, shard: int
    ) -> None:
        key = key_on(the_map, shard)
        cases: list[tuple[KeySource, Values]] = [
            (Parameter(1), text(key)),
            (Literal(0), LiteralValues((key,))),
            (Constant(key.encode()), NoValues()),
            (Parameter(1, array=True), text(f"{{{key},{key}}}")),
        ]
        for source, values in cases:
            assert shards_of(route(select(tenants(source)), values, PLAIN, the_map)) == (shard,)

    def test_a_placed_key_goes_where_it_is_placed(self, the_map: ShardMap) -> None:
        assert shards_of(route(select(devices(Parameter(1))), text("42"), PLAIN, the_map)) == (B,)

    def test_a_null_key_matches_no_row_so_any_shard_answers(self, the_map: ShardMap) -> None:
        for values in (text(None), BindValues((1,), (None,), (20,))):
            assert isinstance(route(select(tenants(Parameter(1))), values, PLAIN, the_map), Anywhere)

    def test_what_matches_no_row_is_answered_by_a_primary(self, the_map: ShardMap) -> None:
        for read_only in (True, False):
            statement = select(tenants(Parameter(1)), read_only=read_only)
            assert route(statement, text(None), REPLICA, the_map).role is Role.PRIMARY

    def test_an_empty_array_matches_no_row(self, the_map: ShardMap) -> None:
        statement = select(tenants(Parameter(1, array=True)))
        for value in ("{}", "{NULL}", None):
            assert isinstance(route(statement, text(value), PLAIN, the_map), Anywhere)
        assert isinstance(route(select(tenants()), NoValues(), PLAIN, the_map), Anywhere)

    def test_an_insert_without_a_key_is_refused(self, the_map: ShardMap) -> None:
        key = key_on(the_map, A)
        for key_set, values in (
            (tenants(Parameter(1)), text(None)),
            (tenants(Parameter(1), Parameter(2)), text(key, None)),
        ):
            insert = replace(select(key_set, fan_out=False), tag="INSERT", read_only=False)
            with pytest.raises(Refused) as caught:
                route(insert, values, PLAIN, the_map)
            assert caught.value.sqlstate == "23502"

    def test_a_value_that_is_no_key_is_an_error(self, the_map: ShardMap) -> None:
        with pytest.raises(InvalidKey):
            route(select(devices(Parameter(1))), text("acme"), PLAIN, the_map)
        with pytest.raises(StatementError):
            route(select(devices(Parameter(1))), text(), PLAIN, the_map)


class TestSeveralKeys:
    def test_keys_of_one_shard_stay_one_shard(self, the_map: ShardMap) -> None:
        first, second = key_on(the_map, B, nth=0), key_on(the_map, B, nth=1)
        statement = select(tenants(Parameter(1), Parameter(2)), fan_out=False)
        assert shards_of(route(statement, text(first, second), PLAIN, the_map)) == (B,)

    def test_keys_of_two_shards_fan_out_to_those_two(self, the_map: ShardMap) -> None:
        values = text(key_on(the_map, C), key_on(the_map, A))
        decided = route(select(tenants(Parameter(1), Parameter(2))), values, PLAIN, the_map)
        assert shards_of(decided) == (A, C)

    def test_a_null_among_keys_adds_no_shard(self, the_map: ShardMap) -> None:
        statement = select(tenants(Parameter(1), Parameter(2)), fan_out=False)
        assert shards_of(route(statement, text(None, key_on(the_map, C)), PLAIN, the_map)) == (C,)

    def test_without_proof_that_concatenation_is_right_they_are_refused(self, the_map: ShardMap) -> None:
        refusal = Refused("count(*) over several shards", hint="Name one tenant.", position=8)
        statement = replace(select(tenants(Parameter(1), Parameter(2)), fan_out=False), refusal=refusal)
        with pytest.raises(Refused) as caught:
            route(statement, text(key_on(the_map, A), key_on(the_map, B)), PLAIN, the_map)
        raised = caught.value
        assert (raised.construct, raised.hint, raised.position) == (refusal.construct, refusal.hint, 8)
        assert raised is not refusal
        assert refusal.__traceback__ is None

    def test_two_classes_of_keys_on_two_shards_are_refused_even_if_each_could_fan_out(
        self, the_map: ShardMap
    ) -> None:
        """No shard has the rows of both, so a join of them by concatenation would lose all."""
        statement = select(tenants(Parameter(1)), tenants(Parameter(2)))
        with pytest.raises(Refused, match="several shards"):
            route(statement, text(key_on(the_map, A), key_on(the_map, B)), PLAIN, the_map)

    def test_two_classes_of_keys_on_one_shard_are_one_shard(self, the_map: ShardMap) -> None:
        statement = select(tenants(Parameter(1)), devices(Parameter(2)), fan_out=False)
        values = text(key_on(the_map, B), key_on(the_map, B, "device"))
        assert shards_of(route(statement, values, PLAIN, the_map)) == (B,)
        other = text(key_on(the_map, B), key_on(the_map, C, "device"))
        with pytest.raises(Refused):
            route(statement, other, PLAIN, the_map)

    def test_a_class_of_nulls_leaves_the_others_to_decide(self, the_map: ShardMap) -> None:
        statement = select(tenants(Parameter(1)), tenants(Parameter(2)), fan_out=False)
        assert shards_of(route(statement, text(None, key_on(the_map, A)), PLAIN, the_map)) == (A,)
        assert isinstance(route(statement, text(None, None), PLAIN, the_map), Anywhere)

    def test_a_transaction_block_does_not_read_several_shards(self, the_map: ShardMap) -> None:
        context = RoutingContext(in_transaction=True)
        statement = select(tenants(Parameter(1), Parameter(2)))
        with pytest.raises(Refused, match="reading several shards inside a transaction block"):
            route(statement, text(key_on(the_map, A), key_on(the_map, B)), context, the_map)
        same = text(key_on(the_map, A), key_on(the_map, A, nth=1))
        assert shards_of(route(statement, same, context, the_map)) == (A,)

    def test_the_session_can_rule_fan_out_out(self, the_map: ShardMap) -> None:
        with pytest.raises(Refused, match="reading several shards here"):
            route(UNBOUND, NoValues(), RoutingContext(fan_out_allowed=False), the_map)


class TestNoKey:
    def test_a_provable_read_runs_on_all_shards(self, the_map: ShardMap) -> None:
        assert shards_of(route(UNBOUND, NoValues(), PLAIN, the_map)) == (A, B, C)

    def test_anything_else_is_refused(self, the_map: ShardMap) -> None:
        with pytest.raises(Refused, match="several shards"):
            route(replace(UNBOUND, fan_out=False), NoValues(), PLAIN, the_map)

    def test_a_part_with_a_key_does_not_say_where_the_part_without_is(self, the_map: ShardMap) -> None:
        statement = replace(UNBOUND, key_sets=(tenants(Parameter(1)),))
        with pytest.raises(Refused):
            route(statement, text(key_on(the_map, A)), PLAIN, the_map)

    def test_what_touches_no_sharded_table_runs_anywhere(self, the_map: ShardMap) -> None:
        assert isinstance(route(ANYWHERE, NoValues(), PLAIN, the_map), Anywhere)

    def test_a_local_table_is_on_its_shard(self, the_map: ShardMap) -> None:
        assert shards_of(route(ON_B, NoValues(), PLAIN, the_map)) == (B,)

    def test_a_local_table_beside_a_key_of_another_shard_is_refused(self, the_map: ShardMap) -> None:
        statement = replace(ON_B, key_sets=(tenants(Parameter(1)),), fan_out=True)
        assert shards_of(route(statement, text(key_on(the_map, B)), PLAIN, the_map)) == (B,)
        with pytest.raises(Refused):
            route(statement, text(key_on(the_map, A)), PLAIN, the_map)

    def test_a_refused_statement_is_refused_with_its_own_words_every_time(self, the_map: ShardMap) -> None:
        refusal = Refused("MERGE", hint="Use INSERT ... ON CONFLICT.", detail="d", sqlstate="0A000")
        statement = Statement(Kind.QUERY, "MERGE", Reach.REFUSED, refusal=refusal)
        for each_map in (the_map, shard_map(ONE, {})):
            with pytest.raises(Refused) as caught:
                route(statement, NoValues(), PLAIN, each_map)
            assert (caught.value.construct, caught.value.detail) == ("MERGE", "d")


class TestSessionTenant:
    @pytest.mark.parametrize("shard", [A, B, C])
    def test_a_statement_without_a_key_goes_to_the_tenants_shard(self, the_map: ShardMap, shard: int) -> None:
        context = RoutingContext(tenant=key_on(the_map, shard).encode())
        for statement in (UNBOUND, replace(UNBOUND, fan_out=False), ANYWHERE):
            assert shards_of(route(statement, NoValues(), context, the_map)) == (shard,)

    def test_a_statement_that_names_the_same_tenant_runs(self, the_map: ShardMap) -> None:
        key = key_on(the_map, C)
        context = RoutingContext(tenant=key.encode())
        for statement in (select(tenants(Parameter(1))), replace(UNBOUND, key_sets=(tenants(Parameter(1)),))):
            assert shards_of(route(statement, text(key), context, the_map)) == (C,)

    def test_a_statement_that_names_another_tenant_is_refused_even_on_the_same_shard(
        self, the_map: ShardMap
    ) -> None:
        own, other = key_on(the_map, A), key_on(the_map, A, nth=1)
        context = RoutingContext(tenant=own.encode())
        one, two = tenants(Parameter(1)), tenants(Parameter(2))
        cases = [
            (select(one), text(other)),
            (select(tenants(Parameter(1), Parameter(2))), text(own, other)),
            (select(one, two), text(own, other)),
            (select(tenants(Parameter(1, array=True))), text(f"{{{other}}}")),
            (replace(UNBOUND, key_sets=(one,)), text(other)),
            (replace(ON_B, key_sets=(one,)), text(other)),
        ]
        for statement, values in cases:
            with pytest.raises(Refused) as caught:
                route(statement, values, context, the_map)
            assert caught.value.sqlstate == "42501"
            assert f'"{own}"' in caught.value.message
            assert f'"{other}"' in caught.value.message

    def test_a_single_shard_is_no_exception(self) -> None:
        with pytest.raises(Refused) as caught:
            route(
                select(tenants(Parameter(1))),
                text("other"),
                RoutingContext(tenant=b"own"),
                shard_map(ONE, {}),
            )
        assert caught.value.sqlstate == "42501"

    def test_a_key_of_another_group_is_not_a_tenant(self, the_map: ShardMap) -> None:
        context = RoutingContext(tenant=key_on(the_map, A).encode())
        values = text(key_on(the_map, B, "device"))
        assert shards_of(route(select(devices(Parameter(1))), values, context, the_map)) == (B,)

    def test_the_tenant_does_not_say_where_rows_of_another_group_are(self, the_map: ShardMap) -> None:
        context = RoutingContext(tenant=key_on(the_map, A).encode())
        readings = replace(UNBOUND, unbound=(("public", "readings"),))
        assert shards_of(route(readings, NoValues(), context, the_map)) == (A, B, C)
        for unbound in (((("public", "orders")), ("public", "readings")), (("public", "unheard_of"),), ()):
            with pytest.raises(Refused):
                route(replace(UNBOUND, unbound=unbound, fan_out=False), NoValues(), context, the_map)

    def test_a_null_key_names_no_other_tenant(self, the_map: ShardMap) -> None:
        context = RoutingContext(tenant=b"own")
        assert isinstance(route(select(tenants(Parameter(1))), text(None), context, the_map), Anywhere)


class TestKeptKey:
    """UPDATE ... SET key = $1 WHERE key = $2."""

    update = replace(
        select(tenants(Parameter(2)), replace(tenants(Parameter(1)), kept=True), fan_out=False), tag="UPDATE"
    )

    def test_the_key_that_rows_have_may_be_said_again(self, the_map: ShardMap) -> None:
        key = key_on(the_map, B)
        assert shards_of(route(self.update, text(key, key), PLAIN, the_map)) == (B,)

    def test_another_key_is_refused_even_on_the_same_shard(self, the_map: ShardMap) -> None:
        for key in (key_on(the_map, B, nth=1), key_on(the_map, A)):
            with pytest.raises(Refused, match="changing the sharding key"):
                route(self.update, text(key, key_on(the_map, B)), PLAIN, the_map)
        several = replace(self.update, key_sets=(*self.update.key_sets, tenants(Parameter(3))))
        with pytest.raises(Refused, match="changing the sharding key"):
            key, other = key_on(the_map, B), key_on(the_map, B, nth=1)
            route(several, text(key, key, other), PLAIN, the_map)

    def test_null_is_no_key(self, the_map: ShardMap) -> None:
        with pytest.raises(Refused) as caught:
            route(self.update, text(None, key_on(the_map, A)), PLAIN, the_map)
        assert caught.value.sqlstate == "23502"

    def test_without_rows_to_change_it_is_the_keys_shard(self, the_map: ShardMap) -> None:
        assert shards_of(route(self.update, text(key_on(the_map, C), None), PLAIN, the_map)) == (C,)

    def test_a_session_keeps_its_own_tenant(self, the_map: ShardMap) -> None:
        unbound = replace(self.update, reach=Reach.UNBOUND, unbound=UNBOUND.unbound)
        own, other = key_on(the_map, A), key_on(the_map, A, nth=1)
        context = RoutingContext(tenant=own.encode())
        assert shards_of(route(unbound, text(own, own), context, the_map)) == (A,)
        with pytest.raises(Refused) as caught:
            route(unbound, text(other, own), context, the_map)
        assert caught.value.sqlstate == "42501"


class TestRole:
    def test_a_replica_answers_only_provable_reads_outside_a_transaction_that_asked_for_it(
        self, the_map: ShardMap
    ) -> None:
        key = key_on(the_map, A)
        read, write = select(tenants(Parameter(1))), select(tenants(Parameter(1)), read_only=False)
        in_block = RoutingContext(read=ReadPolicy.REPLICA, in_transaction=True)
        cases = [(read, REPLICA, Role.REPLICA), (write, REPLICA, Role.PRIMARY)]
        cases += [(read, PLAIN, Role.PRIMARY), (read, in_block, Role.PRIMARY)]
        for statement, context, role in cases:
            assert route(statement, text(key), context, the_map).role is role

    def test_every_kind_of_route_follows_the_policy(self, the_map: ShardMap) -> None:
        for statement in (UNBOUND, ANYWHERE, ON_B):
            assert route(statement, NoValues(), REPLICA, the_map).role is Role.REPLICA
            assert route(statement, NoValues(), PLAIN, the_map).role is Role.PRIMARY


class TestOnlyOneShard:
    def test_every_statement_that_is_not_refused_goes_there_whatever_its_values(self) -> None:
        only = shard_map(ONE, {})
        two_classes = select(tenants(Parameter(1)), tenants(Parameter(2)), fan_out=False)
        for statement in (two_classes, replace(UNBOUND, fan_out=False), ON_B, select(devices(Parameter(1)))):
            for context in (PLAIN, RoutingContext(in_transaction=True)):
                assert shards_of(route(statement, text("x", "y"), context, only)) == (0,)
        assert isinstance(route(ANYWHERE, NoValues(), PLAIN, only), Anywhere)


def test_a_catalog_is_read_on_one_shard_but_a_block_begins_where_its_tenant_is(the_map: ShardMap) -> None:
    catalog = replace(ANYWHERE, catalog=True)
    listen = replace(catalog, notifies=True)
    for shard in range(len(the_map.shards)):
        tenant = key_on(the_map, shard).encode()
        alone, block = (RoutingContext(tenant, in_transaction=inside) for inside in (False, True))
        assert [route(catalog, NoValues(), context, the_map) for context in (alone, block)] == [
            Anywhere(Role.PRIMARY, "every shard gives the same answer"),
            Anywhere(Role.PRIMARY, "every shard gives the same answer", shard),
        ]
        assert shards_of(route(listen, NoValues(), block, the_map)) == (the_map.designated,)


def test_advisory_locks_meet_on_the_designated_shard_or_the_tenants(the_map: ShardMap) -> None:
    lock = replace(ANYWHERE, locks=True, read_only=False)
    assert route(lock, NoValues(), PLAIN, the_map) == Anywhere(
        Role.PRIMARY, "the shard where sessions meet that have no tenant", meets=True
    )
    context = RoutingContext(tenant=key_on(the_map, C).encode())
    assert shards_of(route(lock, NoValues(), context, the_map)) == (C,)
