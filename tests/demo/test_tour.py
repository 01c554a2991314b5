"""The tour finds fault where there is some: here with a session that does not go through the sidecar."""

from typing import Any

from shardproxy.demo import tour
from shardproxy.demo.cluster import app_dsn
from shardproxy.demo.postgres import Install
from shardproxy.demo.shape import Wanted
from shardproxy.demo.stage import Stage
from tests.support import aio


class Bypassed(Stage):
    """Applications are sent straight to the first shard."""

    @property
    def dsn(self) -> str:
        return app_dsn(self.shards[0].primary)


class Silent:
    """A report to nobody."""

    def begin(self, what: str, total: int | None = None) -> None: ...

    def advance(self, orders: int) -> None: ...


def test_without_the_sidecar_every_step_that_needs_it_is_wrong(install: Install) -> None:
    stage: Any = Bypassed(install, Wanted(shards=2, replicas=1, tenants=4, orders=20), None, None)
    try:
        stage.set_up(Silent())
        steps: list[tour.Step] = []
        aio.run(tour.take(stage, steps.append))
    finally:
        stage.close()
    good = {step.title for step in steps if step.good}
    here = next(tenant for tenant in stage.tenants if stage.owner(tenant) == 0)
    assert good == {
        f"a read for {here}",
        f"a write for {here}",
        f"a transaction for {here}, committed",
        f"a transaction for {here}, rolled back",
        "a rule of the schema, enforced by its shard",
        "a reference table",
    }
    assert len(steps) == 13
