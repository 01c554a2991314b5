"""An installation of three shards, and one more server that can become the fourth."""

from dataclasses import dataclass
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.cli.main import app
from shardproxy.demo.cluster import APP_USER, DATABASE, create_primaries
from shardproxy.demo.load import SCHEMA
from shardproxy.demo.postgres import Run, Server
from shardproxy.rebalance import membership
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.membership import Change
from shardproxy.secret import Secret
from tests.support import cluster as clusters
from tests.support import sample
from tests.support.cluster import EXTRA_SCHEMA
from tests.support.installed import OPERATOR, OPERATOR_PASSWORD, Installed

NEW = "shard-d"


@dataclass(frozen=True)
class Growing:
    """``installed`` is shard-a, -b and -c; ``new``, an empty server with their schema, is called shard-d."""

    installed: Installed
    new: Server

    @classmethod
    def start(cls, run: Run, **options: Any) -> "Growing":
        """Start all servers; ``options`` are of ``cluster.start``."""
        installed = Installed.make(clusters.start(run, checks=False, **options))
        (new,) = create_primaries(run, [NEW], SCHEMA + EXTRA_SCHEMA, settings=options.get("settings"))
        new.query(f"CREATE ROLE {OPERATOR} SUPERUSER LOGIN PASSWORD '{OPERATOR_PASSWORD}'")
        return cls(installed, new)

    @property
    def installation(self) -> Installation:
        """All four, as an operator sees them."""
        login = Login(OPERATOR, DATABASE, Secret(OPERATOR_PASSWORD))
        spec = ShardSpec(NEW, ServerSpec(Address("127.0.0.1", self.new.port), login))
        specs = {each.name: each for each in (*self.installed.specs, spec)}
        return Installation(specs, "shard-a")

    def config(self, *names: str, **sections: Any) -> dict[str, Any]:
        """The sidecar's configuration with these shards, in this order; default: all."""
        config = self.installed.config(**sections)
        if "shards" in sections:
            return config
        known = {shard["name"]: shard for shard in config["shards"]}
        known[NEW] = {"name": NEW, "primary": f"127.0.0.1:{self.new.port}"}
        return config | {"shards": [known[name] for name in names or known]}

    async def add(self, **options: Any) -> Change:
        """As ``shardproxy shard add``."""
        return await membership.add(self.installation, NEW, APP_USER, **{"copy_reference": True, **options})

    def command(self, directory: Any, *arguments: str, **sections: Any) -> Result:
        """The command line with a configuration of all four."""
        path = directory / "shardproxy.yaml"
        path.write_text(yaml.safe_dump(self.config(**sections), sort_keys=False))
        path.chmod(0o600)
        result = CliRunner().invoke(app, [*arguments, "-c", str(path)], prog_name="shardproxy")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    def query(self, sql: str) -> str:
        """As the superuser on the new server's database."""
        return self.new.query(sql, dbname=DATABASE)

    def clear(self) -> None:
        """Empty the new server again, whatever became of it."""
        self.query(
            "SET session_replication_role = replica; DROP SCHEMA IF EXISTS shardproxy CASCADE;"
            f"TRUNCATE {', '.join(sample.COLUMNS)} CASCADE"
        )
