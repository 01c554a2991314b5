"""psycopg 3: its parameters, prepared statements, pipelines, cursors and COPY."""

import asyncio
from uuid import UUID

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import dict_row
from psycopg.types.enum import EnumInfo
from psycopg.types.json import Jsonb

from tests.drivers.conftest import Tenant
from tests.support import sample

COUNT = "SELECT count(*) FROM orders WHERE tenant_id = %s"
INSERT = "INSERT INTO coupons (tenant_id, code, percent) VALUES (%s, %s, %s)"


@pytest.mark.parametrize("threshold", [None, 0, 1, 5])
def test_statements_prepared_at_any_threshold(
    dsn: str, tenants: tuple[Tenant, ...], threshold: int | None
) -> None:
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=threshold) as connection:
        for _ in range(4):
            for tenant in tenants:
                assert connection.execute(COUNT, [tenant.name]).fetchone() == (tenant.orders,)


@pytest.mark.parametrize("binary", [False, True])
def test_keys_of_every_type_in_both_formats(dsn: str, binary: bool) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection, connection.cursor(binary=binary) as cursor:
        for device in sample.DEVICES:
            cursor.execute(
                "SELECT device_id FROM devices WHERE device_id = %b"
                if binary
                else "SELECT device_id FROM devices WHERE device_id = %s",
                [device],
            )
            assert cursor.fetchall() == [(device,)]
        for doc in sample.DOCS:
            cursor.execute(
                "SELECT doc_id FROM docs WHERE doc_id = %b"
                if binary
                else "SELECT doc_id FROM docs WHERE doc_id = %s",
                [doc],
            )
            assert cursor.fetchall() == [(doc,)]


def test_a_list_of_keys(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT tenant_id FROM tenants WHERE tenant_id = ANY(%s)", [[tenant.name for tenant in tenants]]
        ).fetchall()
        assert {row[0] for row in rows} == {tenant.name for tenant in tenants}


def test_a_client_side_cursor_writes_its_values_into_the_text(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for tenant in tenants:
            assert connection.execute(COUNT, [tenant.name]).fetchone() == (tenant.orders,)


def test_a_transaction_with_savepoints(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    with psycopg.connect(dsn) as connection:
        for tenant in tenants:
            with connection.transaction(force_rollback=True):
                connection.execute(INSERT, [tenant.name, "D1", 1])
                with pytest.raises(errors.UniqueViolation), connection.transaction():
                    connection.execute(INSERT, [tenant.name, "D1", 2])
                count = "SELECT count(*) FROM coupons WHERE tenant_id = %s AND code = 'D1'"
                assert connection.execute(count, [tenant.name]).fetchone() == (1,)
            assert connection.execute(count, [tenant.name]).fetchone() == (0,)
            connection.rollback()


@pytest.mark.parametrize("level", list(psycopg.IsolationLevel))
def test_characteristics_of_transactions(
    dsn: str, tenants: tuple[Tenant, ...], level: psycopg.IsolationLevel
) -> None:
    with psycopg.connect(dsn) as connection:
        connection.isolation_level, connection.read_only = level, True
        show = "SELECT current_setting('transaction_isolation'), count(*) FROM orders WHERE tenant_id = %s"
        isolation, count = connection.execute(show, [tenants[1].name]).fetchone() or ("", 0)
        assert (isolation, count) == (level.name.lower().replace("_", " "), tenants[1].orders)
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute(INSERT, [tenants[1].name, "D1", 1])


@pytest.mark.parametrize("scrollable", [None, True])
def test_a_server_side_cursor_reads_in_batches(
    dsn: str, tenants: tuple[Tenant, ...], scrollable: bool | None
) -> None:
    with psycopg.connect(dsn) as connection:
        for tenant in tenants:
            with connection.cursor("named", scrollable=scrollable) as cursor:
                cursor.itersize = 3
                cursor.execute("SELECT order_id FROM orders WHERE tenant_id = %s", [tenant.name])
                assert len(list(cursor)) == tenant.orders
            connection.commit()


def test_copy_out_of_one_tenant_and_into_it(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        for tenant in tenants:
            query = sql.SQL("COPY (SELECT order_id FROM orders WHERE tenant_id = {}) TO STDOUT").format(
                tenant.name
            )
            with cursor.copy(query) as copy:
                assert len(list(copy.rows())) == tenant.orders
            connection.commit()
            cursor.execute(sql.SQL("SET shardproxy.tenant = {}").format(tenant.name))
            connection.commit()
            with cursor.copy("COPY coupons (tenant_id, code, percent) FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["varchar", "text", "int2"])
                for i in range(100):
                    copy.write_row((tenant.name, f"copied{i}", 1 + i % 50))
            assert cursor.rowcount == 100
            connection.rollback()
            cursor.execute("RESET shardproxy.tenant")
            connection.commit()


def test_a_pipeline_of_one_tenant(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for tenant in tenants:
            with connection.pipeline():
                cursors = [connection.execute(COUNT, [tenant.name]) for _ in range(10)]
                assert [cursor.fetchone() for cursor in cursors] == [(tenant.orders,)] * 10


def test_a_pipeline_of_several_tenants_needs_a_sync_between_them(
    dsn: str, tenants: tuple[Tenant, ...]
) -> None:
    one, other, *_ = tenants
    with psycopg.connect(dsn, autocommit=True) as connection:
        with connection.pipeline() as pipeline:
            first = connection.execute(COUNT, [one.name])
            pipeline.sync()
            second = connection.execute(COUNT, [other.name])
            assert (first.fetchone(), second.fetchone()) == ((one.orders,), (other.orders,))
        with (
            pytest.raises(errors.FeatureNotSupported, match="a pipeline on several shards"),
            connection.pipeline(),
        ):
            connection.execute(COUNT, [one.name])
            connection.execute(COUNT, [other.name])
        assert connection.execute(COUNT, [other.name]).fetchone() == (other.orders,)


def test_a_pipeline_that_fails_goes_on_after_its_end(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        with pytest.raises(errors.UndefinedColumn), connection.pipeline():
            connection.execute(COUNT, [tenants[0].name])
            connection.execute("SELECT nope")
            connection.execute(COUNT, [tenants[0].name])
        assert connection.execute(COUNT, [tenants[2].name]).fetchone() == (tenants[2].orders,)


def test_executemany_for_one_tenant(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        for tenant in tenants:
            cursor.executemany(INSERT, [(tenant.name, f"many{i}", 1) for i in range(50)])
            assert cursor.rowcount == 50
            cursor.executemany(
                INSERT + " RETURNING code", [(tenant.name, f"more{i}", 1) for i in range(3)], returning=True
            )
            assert cursor.fetchall() == [("more0",)]
            connection.rollback()


def test_rows_of_every_shard(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute("SELECT tenant_id, order_id FROM orders WHERE total >= %s", [0]).fetchall()
        assert len(rows) == len(sample.rows()["orders"])


def test_values_keep_their_types(dsn: str) -> None:
    doc = sample.DOCS[0]
    with psycopg.connect(dsn, autocommit=True) as connection:
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            cursor.execute(
                "SELECT doc_id, body, %s::jsonb, %s::text[], 1.50::numeric FROM docs WHERE doc_id = %s",
                [Jsonb({"é": [1]}), ["a", None], doc],
            )
            found = cursor.fetchone()
            assert found is not None
            assert isinstance(found[0], UUID)
            assert found[1:3] == ({"pages": 0}, {"é": [1]})
            assert found[3] == ["a", None]
            assert str(found[4]) == "1.50"


def test_refusals_are_errors_with_a_hint(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        with pytest.raises(errors.FeatureNotSupported) as caught:
            connection.execute("UPDATE orders SET note = %s", ["x"])
        assert "UPDATE over several shards" in str(caught.value)
        assert "shardproxy.tenant" in (caught.value.diag.message_hint or "")
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        connection.rollback()


def test_many_tasks_of_the_asynchronous_connection(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def one(tenant: Tenant) -> None:
        async with await psycopg.AsyncConnection.connect(
            dsn, options=f"-c shardproxy.tenant={tenant.name}"
        ) as connection:
            for _ in range(5):
                cursor = await connection.execute("SELECT count(*) FROM orders")
                assert await cursor.fetchone() == (tenant.orders,)
                await connection.commit()

    async def main() -> None:
        await asyncio.gather(*(one(tenant) for tenant in tenants * 4))

    asyncio.run(main())


def test_cancelling_leaves_the_connection_usable(dsn: str) -> None:
    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await connection.execute("SELECT pg_sleep(20)")
            cursor = await connection.execute("SELECT 1")
            assert await cursor.fetchone() == (1,)

    asyncio.run(main())


@pytest.mark.parametrize("threshold", [None, 0])
def test_a_transaction_may_begin_with_what_names_no_tenant(
    dsn: str, tenants: tuple[Tenant, ...], mood: str, threshold: int | None
) -> None:
    with psycopg.connect(dsn, prepare_threshold=threshold) as connection:
        for tenant in tenants:
            with connection.transaction(force_rollback=True):
                assert connection.execute("SELECT %s::int", [1]).fetchone() == (1,)
                info = EnumInfo.fetch(connection, mood)
                assert info is not None
                assert info.labels == ["fine", "better"]
                with connection.transaction():
                    assert connection.execute(COUNT, [tenant.name]).fetchone() == (tenant.orders,)
                    connection.execute(INSERT, [tenant.name, "IN", 1])
                with pytest.raises(errors.UniqueViolation), connection.transaction():
                    connection.execute(INSERT, [tenant.name, "IN", 2])
                found = connection.execute(
                    f"SELECT 'fine'::{mood}, percent FROM coupons WHERE tenant_id = %s AND code = 'IN'",
                    [tenant.name],
                )
                assert found.fetchone() == ("fine", 1)
            connection.rollback()
