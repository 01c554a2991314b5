"""Initialising: says what it will do, does it once, goes on where it stopped, and names every mistake."""

from dataclasses import replace

import pytest

from shardproxy.backend.server import Address
from shardproxy.catalog import install
from shardproxy.catalog.install import CATALOG, FENCE, GRANTS, Plan, Target
from shardproxy.catalog.look import look
from shardproxy.errors import ShardproxyError
from shardproxy.monitor.schema_reader import fingerprint, read_schema
from tests.catalog.fenced import APP, Fenced, enter, first_map
from tests.support.aio import run


def steps(plan: Plan) -> list[tuple[str, str]]:
    return [(step.shard, step.what) for step in plan.steps]


def mistakes(bare: Fenced, *targets: Target, catalog: str = "shard-a") -> tuple[str, ...]:
    return run(install.plan(targets or bare.targets, catalog)).mistakes


def test_a_plan_says_all_and_changes_nothing(bare: Fenced) -> None:
    async def main() -> None:
        plan = await install.plan(bare.targets, "shard-a")
        assert steps(plan) == [("shard-a", FENCE), ("shard-b", FENCE), ("shard-a", CATALOG)]
        assert plan.mistakes == ()
        async with bare.operator() as operator:
            assert (await look(operator)).fence is None

    run(main())


def test_what_is_installed_is_not_installed_again(fenced: Fenced) -> None:
    async def main() -> None:
        plan = await install.plan(fenced.targets, "shard-a")
        assert plan.steps == ()
        await install.install(plan, fenced.targets, first_map())

    run(main())


def test_an_installation_that_stopped_half_way_is_completed(bare: Fenced) -> None:
    async def main() -> None:
        begun = await install.plan(bare.targets, "shard-a")
        await install.install(replace(begun, steps=begun.steps[:1]), bare.targets, first_map())
        rest = await install.plan(bare.targets, "shard-a")
        assert steps(rest) == [("shard-b", FENCE), ("shard-a", CATALOG)]
        assert rest.installation == begun.installation
        await install.install(rest, bare.targets, first_map())
        async with bare.operator(0) as a, bare.operator(1) as b:
            found = await look(a), await look(b)
            assert [each.fence.name for each in found if each.fence] == ["shard-a", "shard-b"]
            assert {each.fence.installation for each in found if each.fence} == {begun.installation}
            assert [each.catalog for each in found] == [True, False]

    run(main())


def test_two_at_once_make_one_installation(bare: Fenced) -> None:
    async def main() -> None:
        first, second = [await install.plan(bare.targets, "shard-a") for _ in range(2)]
        await install.install(first, bare.targets, first_map())
        with pytest.raises(ShardproxyError, match="somebody else is initialising"):
            await install.install(second, bare.targets, first_map())

    run(main())


def test_another_role_of_the_sidecars_is_granted_what_it_needs(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator(0) as a, fenced.operator(1) as b:
            for shard in (a, b):
                await shard.execute('CREATE ROLE "other one" LOGIN')
            try:
                targets = [replace(target, role="other one") for target in fenced.targets]
                plan = await install.plan(targets, "shard-a")
                assert steps(plan) == [("shard-a", GRANTS), ("shard-b", GRANTS)]
                await install.install(plan, targets, first_map())
                assert (await install.plan(targets, "shard-a")).steps == ()
                await a.execute('SET SESSION AUTHORIZATION "other one"')
                await enter(a, 1, 0)
                await a.execute("RESET SESSION AUTHORIZATION")
            finally:
                for shard in (a, b):
                    await shard.execute('DROP OWNED BY "other one"; DROP ROLE "other one"')

    run(main())


def test_the_sidecars_role_gets_nothing_to_write(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator:
            tables = await operator.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'shardproxy'::regnamespace AND relkind = 'r'"
            )
            assert len(tables) == 8
            for (table,) in tables:
                for right in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                    may = "SELECT has_table_privilege($1, 'shardproxy.' || $2, $3)"
                    assert not await operator.fetchval(may, APP, table, right), (table, right)

    run(main())


def test_a_server_that_is_away_or_does_not_let_us_in_is_named(bare: Fenced) -> None:
    a, b = bare.targets
    away = replace(a, server=replace(a.server, address=Address("127.0.0.1", 1)))
    stranger = replace(b, server=replace(b.server, login=replace(b.server.login, user="nobody")))
    first, second = mistakes(bare, away, stranger)
    assert first == "shard-a: 127.0.0.1:1 cannot be used: Connection refused"
    assert 'password authentication failed for user "nobody"' in second


def test_a_role_that_may_not_create_is_named(bare: Fenced) -> None:
    a, b = bare.targets
    poor = replace(b, server=bare.server(bare.primaries[1], APP))
    (mistake,) = mistakes(bare, a, poor)
    assert mistake == (
        f'shard-b: "app" may not create a schema: GRANT CREATE ON DATABASE "{bare.database}" TO "app"'
    )


def test_a_role_of_the_sidecars_that_does_not_exist_is_named(bare: Fenced) -> None:
    a, b = bare.targets
    assert mistakes(bare, a, replace(b, role="ap")) == ('shard-b: the sidecars\' role "ap" does not exist',)


def test_a_standby_is_named(bare: Fenced) -> None:
    bare.replica.wait_for_replay(bare.primaries[0])
    a, b = bare.targets
    (mistake,) = mistakes(bare, replace(a, server=bare.server(bare.replica)), b)
    assert mistake.endswith("is a standby; name the server that takes writes")


def test_a_schema_of_somebody_else_is_named(bare: Fenced) -> None:
    async def main() -> None:
        async with bare.operator(1) as b:
            await b.execute("CREATE SCHEMA shardproxy")
            (mistake,) = (await install.plan(bare.targets, "shard-a")).mistakes
            assert mistake.startswith('shard-b: the schema "shardproxy" is not ours')
            await b.execute("CREATE TABLE shardproxy.shard (x int)")
            assert (await install.plan(bare.targets, "shard-a")).mistakes == (mistake,)

    run(main())


def test_shards_of_another_installation_or_name_are_named(fenced: Fenced) -> None:
    async def main() -> None:
        a, b = fenced.targets
        swapped = (
            await install.plan([replace(a, name="shard-b"), replace(b, name="shard-a")], "shard-b")
        ).mistakes
        assert any('is the shard "shard-a" of installation' in mistake for mistake in swapped)
        async with fenced.operator(1) as operator:
            await operator.execute("UPDATE shardproxy.shard SET installation = gen_random_uuid()")
        (mistake,) = (await install.plan(fenced.targets, "shard-a")).mistakes
        assert mistake.startswith("the shards belong to different installations: shard-a is of ")

    run(main())


def test_a_catalog_elsewhere_is_named(fenced: Fenced) -> None:
    assert mistakes(fenced, catalog="shard-b") == (
        "shard-a: the catalog is here; name this shard in catalog.shard",
    )


def test_a_plan_with_mistakes_is_not_carried_out(bare: Fenced) -> None:
    async def main() -> None:
        plan = await install.plan(bare.targets, "shard-a")
        with pytest.raises(ShardproxyError, match="a reason"):
            await install.install(replace(plan, mistakes=("a reason",)), bare.targets, first_map())
        assert (await install.plan(bare.targets, "shard-a")).steps == plan.steps

    run(main())


def test_an_operator_without_the_rights_that_moves_need_is_told(bare: Fenced) -> None:
    for server in bare.primaries:
        server.query(f"GRANT CREATE ON DATABASE {bare.database} TO app")
    targets = [
        replace(target, server=bare.server(server, APP))
        for target, server in zip(bare.targets, bare.primaries, strict=True)
    ]

    async def main() -> None:
        plan = await install.plan(targets, "shard-a")
        assert plan.mistakes == ()
        lacks = [right.removeprefix("shard-a: ") for right in plan.lacks if right.startswith("shard-a")]
        if bare.primaries[0].install.version >= (16, 0):
            assert '"app" needs pg_create_subscription for moves' in lacks
            assert '"app" needs REPLICATION for moves' in lacks
            assert len(lacks) == 5
        else:
            assert lacks == [
                '"app" has to be a superuser for moves: it is needed for subscriptions before 16'
            ]
        await install.install(plan, targets, first_map())
        assert (await install.plan(bare.targets, "shard-a")).steps == ()

    run(main())


def test_no_reading_of_the_schema_sees_what_was_installed(bare: Fenced) -> None:
    async def main() -> None:
        async with bare.operator() as operator:
            before = fingerprint(await read_schema(operator))
            await bare.install()
            after = await read_schema(operator)
            assert fingerprint(after) == before
            assert "shardproxy" not in after.schemas

    run(main())
