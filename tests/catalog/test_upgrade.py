"""``shardproxy init`` makes an older installation one of today; an installation of tomorrow is left alone."""

import json
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import asyncpg

from shardproxy.catalog import install
from shardproxy.catalog.install import UPGRADE
from shardproxy.catalog.locks import CLASS_EPOCH, CLASS_GUARD
from shardproxy.catalog.look import look
from shardproxy.catalog.sidecars import Identity, sidecars, tell
from shardproxy.catalog.versions import VERSION
from shardproxy.topology.map_document import to_document
from tests.catalog.fenced import APP, Fenced, enter, first_map
from tests.support.aio import run

HERE = Path(__file__).parent
OBJECTS = """
SELECT 'table ' || c.relname || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
       || COALESCE(' ' || pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'shardproxy'::regnamespace
UNION ALL
SELECT 'function ' || pg_get_functiondef(p.oid) || COALESCE(p.proacl::text, '')
FROM pg_proc AS p WHERE p.pronamespace = 'shardproxy'::regnamespace
UNION ALL
SELECT 'granted ' || c.relname || COALESCE(c.relacl::text, '')
FROM pg_class AS c WHERE c.relnamespace = 'shardproxy'::regnamespace AND c.relkind = 'r'
ORDER BY 1
"""


async def make_version_1(bare: Fenced) -> None:
    """As the first version of init left the shards."""
    installation = uuid4()
    for shard, name in enumerate(("shard-a", "shard-b")):
        async with bare.operator(shard) as operator:
            fence = (HERE / "shard_1.sql").read_text()
            await operator.execute(fence.format(class_epoch=CLASS_EPOCH, class_guard=CLASS_GUARD))
            await operator.execute(
                "INSERT INTO shardproxy.shard (installation, name, oldest_epoch, newest_epoch) VALUES ($1, $2, 1, 1)",
                installation,
                name,
            )
            await operator.execute(
                f"GRANT SELECT ON shardproxy.shard, shardproxy.moving TO {APP};"
                f"GRANT EXECUTE ON FUNCTION shardproxy.enter TO {APP}"
            )
            if not shard:
                await operator.execute((HERE / "catalog_1.sql").read_text())
                document = to_document(replace(first_map(), shard_epochs=(1, 1)))
                await operator.execute(
                    "INSERT INTO shardproxy.map (epoch, document, why) VALUES (1, $1, 'init')",
                    json.dumps(document),
                )
                await operator.execute(
                    "GRANT SELECT ON shardproxy.map, shardproxy.move, shardproxy.move_log, shardproxy.sidecar"
                    f" TO {APP}; GRANT EXECUTE ON FUNCTION shardproxy.i_am TO {APP}"
                )


async def objects(operator: asyncpg.Connection) -> list[str]:
    return [row[0] for row in await operator.fetch(OBJECTS)]


def test_an_older_installation_becomes_what_a_new_one_is(bare: Fenced) -> None:
    async def main() -> None:
        await bare.install()
        wanted = []
        for shard in (0, 1):
            async with bare.operator(shard) as operator:
                wanted.append(await objects(operator))
                await operator.execute("DROP SCHEMA shardproxy CASCADE")
        await make_version_1(bare)
        plan = await install.plan(bare.targets, "shard-a")
        assert [(step.shard, step.what, step.version) for step in plan.steps] == [
            ("shard-a", UPGRADE, 1),
            ("shard-b", UPGRADE, 1),
        ]
        assert str(plan.steps[0]) == f"shard-a: upgrade what is there from version 1 to {VERSION}"
        async with bare.app(0) as sidecar:
            await enter(sidecar, 1)  # somebody uses it meanwhile
            await install.install(plan, bare.targets, first_map())
            await enter(sidecar, 1, 1)
        again = await install.plan(bare.targets, "shard-a")
        assert (again.steps, again.mistakes) == ((), ())
        for shard in (0, 1):
            async with bare.operator(shard) as operator:
                assert await objects(operator) == wanted[shard]
                fence = (await look(operator)).fence
                assert fence is not None
                assert fence.version == VERSION
        assert await bare.publish(0, 1) == 2

    run(main())


def test_a_sidecar_of_today_works_with_an_older_catalog_and_an_older_one_with_that_of_today(
    bare: Fenced,
) -> None:
    async def main() -> None:
        await make_version_1(bare)
        async with bare.app() as app, bare.operator() as operator:
            await tell(app, Identity(), 1, ("shard-a",))
            assert [each.shards for each in await sidecars(operator)] == [None]
            assert await bare.publish(0, 1) == 2
            await install.install(await install.plan(bare.targets, "shard-a"), bare.targets, first_map())
            await app.execute("SELECT shardproxy.i_am($1, 'old', 1, '0', 1, now())", uuid4())
            await tell(app, Identity(), 1, ("shard-a", "shard-b"))
            found = sorted((each.shards or () for each in await sidecars(operator)), key=len)
            assert found == [(), (), ("shard-a", "shard-b")]

    run(main())


def test_an_installation_of_a_newer_version_is_left_alone(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator(1) as operator:
            await operator.execute("UPDATE shardproxy.shard SET version = 99")
        (mistake,) = (await install.plan(fenced.targets, "shard-a")).mistakes
        assert mistake == (
            f"shard-b: the installation is of version 99, and this shardproxy knows none after {VERSION}; "
            "upgrade shardproxy"
        )

    run(main())
