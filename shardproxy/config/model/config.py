"""The whole configuration, in the order a reader meets it."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from shardproxy.config.model.access import Auth, Console, Operator, ServerLogin
from shardproxy.config.model.address import Http, Listener
from shardproxy.config.model.section import Section
from shardproxy.config.model.shards import Catalog, Ring, Shard
from shardproxy.config.model.tables import Group, Table
from shardproxy.config.model.traffic import Limits, Log, Pool, Reads, Timeouts
from shardproxy.config.model.units import OFF

DEFAULT_GROUP = "tenant"


def _off_is_none(value: Any) -> Any:
    return None if value == OFF else value


class Config(Section):
    """One sidecar's configuration. Names refer to each other; ``load`` has checked that they exist."""

    database: str = Field(
        min_length=1,
        max_length=63,
        description="Database that applications connect to; server.database defaults to it.",
    )
    listen: tuple[Listener, ...] = Field(
        default_factory=lambda: (Listener(host="127.0.0.1"),),
        min_length=1,
        description="Where applications connect: TCP addresses and Unix sockets, several of both.",
    )
    http: Annotated[
        Http | None, BeforeValidator(_off_is_none, json_schema_input_type=Http | Literal["off"])
    ] = Field(default_factory=Http, description="Where /metrics, /healthz and /readyz are served, or off.")
    auth: Auth = Field(default_factory=Auth, description="How applications log in.")
    console: Console = Field(
        default_factory=Console, description="Who may use the console, the database shardproxy."
    )
    server: ServerLogin = Field(
        default_factory=ServerLogin, description="The login the proxy uses on every shard."
    )
    operator: Operator = Field(
        default_factory=Operator,
        description="The login of commands that change the shards; serve needs none.",
    )
    shards: tuple[Shard, ...] = Field(
        min_length=1, max_length=1024, description="The PostgreSQL servers that hold the data."
    )
    designated: str | None = Field(
        default=None,
        description="Shard that answers catalog queries and statements without a table; default: the first.",
    )
    catalog: Catalog = Field(
        default_factory=Catalog, description="Where the map lives that all sidecars share (see init)."
    )
    ring: Ring = Field(default_factory=Ring, description="How buckets are spread over the shards.")
    groups: dict[str, Group] = Field(
        default_factory=lambda: {DEFAULT_GROUP: Group(type="text")},
        min_length=1,
        description="Colocation groups and the type of their key.",
    )
    tenant_group: str | None = Field(
        default=None,
        description="Group of shardproxy.tenant and `placements`; default: tenant, or else the first.",
    )
    placements: dict[str, str] = Field(
        default_factory=dict,
        description="Tenants that live on a named shard whatever the ring says, as tenant: shard.",
    )
    tables: dict[str, Table] = Field(
        default_factory=dict,
        description=(
            "How each table is spread. Names are read as in SQL: public is the default schema, "
            "upper case needs double quotes."
        ),
    )
    trusted_functions: tuple[str, ...] = Field(
        default=(),
        description=(
            "Functions you vouch for: each reads and writes only rows of the tenant of the statement, or of "
            "the row whose trigger it is, besides reference tables that it reads, and leaves sharding keys "
            "alone. Names are read as those of tables; all functions of a name are meant."
        ),
    )
    tenant_isolation: Literal["enforce", "off"] = Field(
        default="enforce",
        description="enforce: a session that named its tenant sees and writes only that tenant's rows.",
    )
    pool: Pool = Field(default_factory=Pool, description="Server connections.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long to wait for the other side.")
    limits: Limits = Field(
        default_factory=Limits, description="Bounds on what clients can make the proxy hold."
    )
    reads: Reads = Field(default_factory=Reads, description="Where read-only statements go.")
    log: Log = Field(default_factory=Log, description="The proxy's own log, on standard error.")

    @property
    def tenant_group_name(self) -> str:
        """The group that ``shardproxy.tenant`` speaks of."""
        if self.tenant_group is not None:
            return self.tenant_group
        return DEFAULT_GROUP if DEFAULT_GROUP in self.groups else next(iter(self.groups))

    @property
    def designated_index(self) -> int:
        """The index in ``shards`` of the designated shard."""
        return self._index(self.designated)

    @property
    def catalog_index(self) -> int:
        """The index in ``shards`` of the one whose primary holds the catalog."""
        return self._index(self.catalog.shard)

    def _index(self, name: str | None) -> int:
        return [shard.name for shard in self.shards].index(name) if name is not None else 0
