"""SQLAlchemy over psycopg and asyncpg: its inspector, and a model whose rows are a tenant's."""

import asyncio
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

from tests.drivers.conftest import Tenant
from tests.support.cluster import Cluster


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"], ["customers.tenant_id", "customers.customer_id"]
        ),
    )
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    customer_id: Mapped[int]
    status: Mapped[str] = mapped_column(default="new")
    currency: Mapped[str]
    total: Mapped[Decimal] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    customer: Mapped[Customer] = relationship(back_populates="orders")
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


def url(dsn: str, driver: str) -> str:
    return dsn.replace("postgresql://", f"postgresql+{driver}://")


@pytest.fixture
def engine(dsn: str) -> sa.Engine:
    return sa.create_engine(url(dsn, "psycopg"), pool_size=2, pool_pre_ping=True)


def test_the_inspector_sees_what_a_server_shows(engine: sa.Engine, cluster: Cluster) -> None:
    direct = sa.create_engine(url(cluster.dsn(cluster.map.designated), "psycopg"))
    seen, there = sa.inspect(engine), sa.inspect(direct)
    assert seen.get_table_names() == there.get_table_names()
    assert seen.get_view_names() == there.get_view_names()
    for table in ("orders", "coupons"):
        assert repr(seen.get_columns(table)) == repr(there.get_columns(table))
        assert seen.get_pk_constraint(table) == there.get_pk_constraint(table)
        assert seen.get_foreign_keys(table) == there.get_foreign_keys(table)
        assert seen.get_indexes(table) == there.get_indexes(table)
        assert seen.get_check_constraints(table) == there.get_check_constraints(table)
    reflected = sa.MetaData()
    reflected.reflect(engine)
    assert {"orders", "currencies"} <= set(reflected.tables)
    engine.dispose()
    direct.dispose()


def test_a_model_keyed_by_tenant(written: Cluster, engine: sa.Engine, tenants: tuple[Tenant, ...]) -> None:
    for tenant in tenants:
        with Session(engine) as session, session.begin():
            customer = Customer(tenant_id=tenant.name, email="orm@example.com", name="é")
            customer.orders = [Order(tenant_id=tenant.name, currency="EUR") for _ in range(3)]
            session.add(customer)
        with Session(engine) as session, session.begin():
            of_tenant = sa.select(Customer).where(
                Customer.tenant_id == tenant.name, Customer.email == "orm@example.com"
            )
            found = session.scalars(of_tenant.options(selectinload(Customer.orders))).one()
            assert [order.status for order in found.orders] == ["new"] * 3
            found.orders[0].status = "paid"
        with Session(engine) as session:
            paid = (
                sa.select(Order)
                .join(Order.customer)
                .where(
                    Order.tenant_id == tenant.name, Customer.email == "orm@example.com", Order.version == 2
                )
            )
            assert session.scalars(paid).one().status == "paid"
    engine.dispose()


def test_a_session_of_one_tenant_names_it_once(engine: sa.Engine, tenants: tuple[Tenant, ...]) -> None:
    for tenant in tenants:
        with Session(engine) as session, session.begin():
            session.execute(
                sa.text("SELECT set_config('shardproxy.tenant', :tenant, true)"), {"tenant": tenant.name}
            )
            assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == tenant.orders
    engine.dispose()


def test_a_session_that_pings_looks_around_and_nests(
    engine: sa.Engine, tenants: tuple[Tenant, ...], written: Cluster
) -> None:
    for tenant in tenants:
        with Session(engine) as session, session.begin():
            assert session.scalar(sa.select(1)) == 1
            assert sa.inspect(session.connection()).get_pk_constraint("orders")["constrained_columns"]
            with session.begin_nested() as savepoint:
                customer = Customer(tenant_id=tenant.name, email="a@b", name="A")
                session.add(customer)
                session.flush()
                with session.begin_nested() as inner:
                    customer.name = "B"
                    session.flush()
                    inner.rollback()
                assert customer.name == "A"
                savepoint.commit()
        with Session(engine) as session:
            names = sa.select(Customer.name).where(Customer.tenant_id == tenant.name, Customer.email == "a@b")
            assert session.scalars(names).all() == ["A"]
    engine.dispose()


def test_the_asyncio_engine(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def count(engine: object, tenant: Tenant) -> None:
        async with AsyncSession(engine) as session, session.begin():  # type: ignore[arg-type]
            orders = (await session.scalars(sa.select(Order).where(Order.tenant_id == tenant.name))).all()
            assert len(orders) == tenant.orders
            assert {order.tenant_id for order in orders} == {tenant.name}

    async def main() -> None:
        engine = create_async_engine(url(dsn, "asyncpg"), pool_size=3)
        await asyncio.gather(*(count(engine, tenant) for tenant in tenants * 3))
        async with engine.connect() as connection:
            names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
            assert "orders" in names
        await engine.dispose()

    asyncio.run(main())
