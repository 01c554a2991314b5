"""The model turned into other packages' values; the only place where options change shape."""

from collections.abc import Mapping
from dataclasses import dataclass

from shardproxy.backend import server as backend
from shardproxy.backend.pool import PoolOptions
from shardproxy.backend.server import Login, SocketOptions
from shardproxy.backend.shards import BackendOptions, ServerSpec, ShardSpec
from shardproxy.catalog.agreement import Wish
from shardproxy.catalog.install import Target
from shardproxy.config.model import Address, Config, Shard, Table
from shardproxy.config.model.access import is_verifier
from shardproxy.config.model.tables import FAMILIES
from shardproxy.config.names import parse_identifier, parse_relation
from shardproxy.config.rules.spread import placements
from shardproxy.console.options import ConsoleOptions
from shardproxy.errors import ConfigError
from shardproxy.frontend.options import FrontendOptions
from shardproxy.monitor.health import HealthOptions
from shardproxy.monitor.servers import WatchedServer
from shardproxy.monitor.shard_health import RotationOptions
from shardproxy.routing.route import Role
from shardproxy.secret import Secret
from shardproxy.session.settings import REQUIRED
from shardproxy.session.shared import SessionOptions
from shardproxy.topology import shard_map as topology
from shardproxy.topology.tables import Local, Reference, Sharded, TableRule, TableRules
from shardproxy.wire.authenticate import AuthMethod
from shardproxy.wire.scram_keys import Verifier


@dataclass(frozen=True, slots=True)
class ShardLogin:
    """The role, password and database the proxy uses on one shard, the shard's own options applied."""

    user: str
    password: Secret | None
    database: str


def table_rules(config: Config) -> TableRules:
    """How each table of the configuration is spread."""
    return TableRules(
        rules={parse_relation(name): _rule(table, config) for name, table in config.tables.items()},
        groups={name: FAMILIES[group.type] for name, group in config.groups.items()},
        tenant_group=config.tenant_group_name,
        trusted=frozenset(map(parse_relation, config.trusted_functions)),
    )


def shard_map(config: Config) -> topology.ShardMap:
    """The map that the configuration's ring and placements give, as epoch 0."""
    return topology.build(
        [topology.ShardSpec(shard.name, shard.weight) for shard in config.shards],
        table_rules(config),
        placements={(group, key): shard for _, group, key, shard in placements(config)},
        vnodes=config.ring.virtual_nodes,
        designated=config.designated,
    )


def wish(config: Config) -> Wish:
    """What is compared with the catalog's map."""
    return Wish(shard_map(config), config.designated)


def shard_login(config: Config, shard: Shard) -> ShardLogin:
    """The login on ``shard``: its own user, password and database, else those of ``server``.

    A shard that names its own user never gets the password of another one.
    """
    own_password = shard.password is not None or shard.user is not None
    return ShardLogin(
        user=shard.user or config.server.user or "",
        password=shard.password if own_password else config.server.password,
        database=shard.database or config.server.database or config.database,
    )


def operator_login(config: Config, shard: Shard) -> ShardLogin:
    """The operator's login on ``shard``. Raises ConfigError where the configuration has none to use here."""
    operator = config.operator
    if operator.user is None:
        raise ConfigError(
            "operator.user is missing; add the role that may change the shards",
            hint="See operator in config/shardproxy.example.yaml.",
        )
    if operator.password is None and operator.password_env is not None:
        raise ConfigError(
            f"operator.password_env: the environment variable {operator.password_env} has no password"
        )
    if operator.password is None and operator.password_file is not None:
        raise ConfigError(
            f"operator.password_file: {operator.password_file} cannot be read, or has no password"
        )
    return ShardLogin(operator.user, operator.password, shard_login(config, shard).database)


def servers(shard: Shard) -> tuple[Address, ...]:
    """The addresses of a shard's servers, its primary first."""
    return (shard.primary, *shard.replicas)


def _rule(table: Table, config: Config) -> TableRule:
    if table.key is not None:
        return Sharded(parse_identifier(table.key), table.group or config.tenant_group_name)
    return Local(table.local) if table.local is not None else Reference()


def shard_specs(config: Config) -> tuple[ShardSpec, ...]:
    """Every shard's servers with the sidecar's logins on them."""
    timeouts = config.timeouts
    settings = {
        "application_name": config.server.application_name,
        "client_encoding": "UTF8",
        # A sidecar whose machine has vanished holds nothing up for hours, a move least of all.
        "tcp_keepalives_idle": f"{timeouts.keepalive_idle:.0f}",
        "tcp_keepalives_interval": f"{timeouts.keepalive_interval:.0f}",
        "tcp_keepalives_count": f"{timeouts.keepalive_count}",
        **REQUIRED,
    }
    return tuple(_shard_spec(shard, shard_login(config, shard), settings) for shard in config.shards)


def operator_specs(config: Config) -> tuple[ShardSpec, ...]:
    """Every shard's servers with the operator's logins on them. Errors as of :func:`operator_login`."""
    return tuple(_shard_spec(shard, operator_login(config, shard), {}) for shard in config.shards)


def install_targets(config: Config) -> list[Target]:
    """Every shard as ``shardproxy init`` sees it. Errors as of :func:`operator_login`."""
    specs = zip(config.shards, operator_specs(config), strict=True)
    return [Target(spec.name, spec.primary, shard_login(config, shard).user) for shard, spec in specs]


def _shard_spec(shard: Shard, access: ShardLogin, settings: Mapping[str, str]) -> ShardSpec:
    login = Login(access.user, access.database, access.password, settings)
    primary, *replicas = (ServerSpec(_address(address), login) for address in servers(shard))
    return ShardSpec(shard.name, primary, tuple(replicas))


def _address(address: Address) -> backend.Address:
    return backend.Address(
        str(address.unix) if address.unix is not None else address.host or "", address.port
    )


def backend_options(config: Config) -> BackendOptions:
    """How connections to shards are opened and kept."""
    return BackendOptions(
        primary_pool=_pool(config, config.pool.size),
        replica_pool=_pool(config, config.pool.replica_size),
        sockets=socket_options(config),
        connect_timeout=config.timeouts.server_connect,
        login_timeout=config.timeouts.server_login,
    )


def _pool(config: Config, size: int) -> PoolOptions:
    return PoolOptions(
        size=size,
        wait_timeout=config.pool.wait_timeout,
        wait_queue=config.limits.wait_queue,
        idle_timeout=config.pool.idle_timeout or 0,
        max_lifetime=config.pool.max_lifetime or 0,
        prepared_statements=config.limits.prepared_statements,
    )


def socket_options(config: Config) -> SocketOptions:
    """Keepalives and time-outs of sockets, on both sides."""
    timeouts = config.timeouts
    return SocketOptions(
        user_timeout=timeouts.tcp_user_timeout or 0,
        keepalive_idle=timeouts.keepalive_idle,
        keepalive_interval=timeouts.keepalive_interval,
        keepalive_count=timeouts.keepalive_count,
    )


def session_options(config: Config) -> SessionOptions:
    """How sessions behave."""
    return SessionOptions(
        default_read=config.reads.default,
        replica_fallback=config.reads.fallback == "primary",
        isolate=config.tenant_isolation == "enforce",
        move_wait=config.timeouts.move_wait,
    )


def frontend_options(config: Config) -> FrontendOptions:
    """How applications are let in; a password becomes its SCRAM verifier here."""
    return FrontendOptions(
        database=config.database,
        method=AuthMethod.TRUST if config.auth.method == "trust" else AuthMethod.SCRAM,
        verifiers={
            user.name: _verifier(user.password) for user in config.auth.users if user.password is not None
        },
        login_timeout=config.timeouts.login,
        max_message_size=config.limits.max_message_size,
    )


def console_options(config: Config) -> ConsoleOptions:
    """Who may use the console, and whether it can drive moves."""
    return ConsoleOptions(
        admins=frozenset(config.console.admins),
        readers=frozenset(config.console.readers),
        has_operator=config.operator.user is not None,
    )


def _verifier(password: Secret) -> Verifier:
    return Verifier.parse(password.reveal()) if is_verifier(password) else Verifier.from_password(password)


def health_options(config: Config) -> HealthOptions:
    """How servers are watched."""
    return HealthOptions(
        interval=config.reads.probe_interval,
        rotation=RotationOptions(max_lag=config.reads.max_lag, max_lag_bytes=config.reads.max_lag_bytes),
    )


def watched_servers(specs: tuple[ShardSpec, ...]) -> tuple[WatchedServer, ...]:
    """Every server of every shard, for the monitor."""
    return tuple(
        WatchedServer(spec.name, role, server.address, server.login, server.weight)
        for spec in specs
        for role, members in ((Role.PRIMARY, (spec.primary,)), (Role.REPLICA, spec.replicas))
        for server in members
    )
