"""The metrics: one table of what there is, and how each row is read from a :class:`Status`.

README.md beside this file repeats the table for operators; a test holds the two together.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from shardproxy.admin.status import Status
from shardproxy.counters import Counters, Histogram, PoolCounters, ShardCounters
from shardproxy.routing.route import Role


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. Counters are named with ``_total``, as they are exposed."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


SERVER_ROLE: Final = ("shard", "role")

METRICS: Final = (
    Spec("shardproxy_info", "gauge", ("version",), "Always 1; the label is the version that runs."),
    Spec("shardproxy_ready", "gauge", (), "1 when /readyz says 200."),
    Spec("shardproxy_uptime_seconds", "gauge", (), "Seconds since the start."),
    Spec("shardproxy_map_epoch", "gauge", (), "Version of the map in force; 0: it is the configuration's."),
    Spec("shardproxy_map_moves", "gauge", (), "Moves in progress in the map in force."),
    Spec(
        "shardproxy_map_waits", "gauge", (), "Statements whose rows are handed over, waiting for a newer map."
    ),
    Spec("shardproxy_catalog_age_seconds", "gauge", (), "Seconds since the catalog's last answer."),
    Spec("shardproxy_clients", "gauge", (), "Clients connected now."),
    Spec("shardproxy_client_connections_total", "counter", (), "Clients that ever logged in."),
    Spec("shardproxy_logins_failed_total", "counter", (), "Logins of clients that were refused."),
    Spec(
        "shardproxy_statements_total",
        "counter",
        ("route",),
        "Statements by where they went: one_shard, fan_out, anywhere, local (answered here) or refused.",
    ),
    Spec("shardproxy_refused_total", "counter", ("construct",), "Refused statements by refused construct."),
    Spec("shardproxy_plan_cache_hits_total", "counter", (), "Statements whose plan was cached."),
    Spec("shardproxy_plan_cache_misses_total", "counter", (), "Statements that had to be parsed."),
    Spec("shardproxy_plan_cache_evictions_total", "counter", (), "Plans dropped to make room."),
    Spec("shardproxy_cancel_requests_total", "counter", (), "Cancel requests that were received."),
    Spec(
        "shardproxy_cancels_total",
        "counter",
        ("outcome",),
        "Cancel requests by what became of them: forwarded, or ignored (nothing ran, or a wrong key).",
    ),
    Spec(
        "shardproxy_pins_total",
        "counter",
        ("reason",),
        "Sessions bound to their server connection, by reason.",
    ),
    Spec("shardproxy_queries_total", "counter", SERVER_ROLE, "Statements a server answered, or failed."),
    Spec("shardproxy_transactions_total", "counter", SERVER_ROLE, "Transactions that ended on a server."),
    Spec(
        "shardproxy_query_duration_seconds",
        "histogram",
        SERVER_ROLE,
        "From sending a request to the last byte of its answer.",
    ),
    Spec(
        "shardproxy_errors_total",
        "counter",
        (*SERVER_ROLE, "sqlstate_class"),
        "Errors from servers by the first two characters of SQLSTATE.",
    ),
    Spec("shardproxy_server_sent_bytes_total", "counter", SERVER_ROLE, "Bytes sent to servers."),
    Spec("shardproxy_server_received_bytes_total", "counter", SERVER_ROLE, "Bytes received from servers."),
    Spec(
        "shardproxy_pool_connections",
        "gauge",
        (*SERVER_ROLE, "state"),
        "Server connections now: idle, active or connecting.",
    ),
    Spec("shardproxy_pool_waiting", "gauge", SERVER_ROLE, "Clients waiting for a server connection now."),
    Spec(
        "shardproxy_pool_wait_seconds",
        "histogram",
        SERVER_ROLE,
        "How long clients waited for a server connection, of those who had to.",
    ),
    Spec(
        "shardproxy_pool_wait_timeouts_total",
        "counter",
        SERVER_ROLE,
        "Clients that waited for a server connection in vain.",
    ),
    Spec("shardproxy_pool_connects_total", "counter", SERVER_ROLE, "Completed logins on servers."),
    Spec("shardproxy_pool_connect_failures_total", "counter", SERVER_ROLE, "Failed connects and logins."),
    Spec(
        "shardproxy_pool_closes_total",
        "counter",
        (*SERVER_ROLE, "reason"),
        "Closed server connections by reason.",
    ),
    Spec(
        "shardproxy_pool_epoch_entries_total",
        "counter",
        (*SERVER_ROLE, "outcome"),
        "Server connections entering an epoch: entered, retired (a newer map is needed), behind (a replica) "
        "or failed.",
    ),
    Spec(
        "shardproxy_server_up",
        "gauge",
        ("shard", "server", "role"),
        "1 when the last look at the server was answered; role is the configured one.",
    ),
    Spec(
        "shardproxy_server_role_as_configured",
        "gauge",
        ("shard", "server", "role"),
        "1 when a server that is up has the role it is configured as.",
    ),
    Spec(
        "shardproxy_shard_writable",
        "gauge",
        ("shard",),
        "1 when the configured primary is up and is the primary.",
    ),
    Spec("shardproxy_replica_in_rotation", "gauge", ("shard", "server"), "1 when reads may go there."),
    Spec("shardproxy_replica_lag_seconds", "gauge", ("shard", "server"), "Seconds behind the primary."),
    Spec(
        "shardproxy_replica_lag_bytes",
        "gauge",
        ("shard", "server"),
        "Bytes of WAL not yet replayed.",
    ),
)
"""Every metric of our own, in the order of exposition. Those of the process follow, see README.md."""

Labels = tuple[str, ...]
Sample = tuple[Labels, float | Histogram]
Samples = Mapping[str, Iterable[Sample]]

_PROCESS = ProcessCollector(registry=None)


def render(status: Status) -> bytes:
    """The text format of Prometheus. Takes milliseconds for many shards: not for the event loop."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Exposition(status))
    registry.register(_PROCESS)
    return generate_latest(registry)


class _Exposition(Collector):
    """One moment, as the library collects it."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        found = samples(self._status)
        for spec in METRICS:
            yield family(spec, found[spec.name])


def family(spec: Spec, found: Iterable[Sample]) -> Metric:
    """One metric with its samples."""
    if spec.kind == "histogram":
        histograms = HistogramMetricFamily(spec.name, spec.help, labels=spec.labels)
        for labels, histogram in found:
            assert isinstance(histogram, Histogram)
            histograms.add_metric(labels, _cumulated(histogram), histogram.total)
        return histograms
    plain: CounterMetricFamily | GaugeMetricFamily
    if spec.kind == "counter":
        plain = CounterMetricFamily(spec.name.removesuffix("_total"), spec.help, labels=spec.labels)
    else:
        plain = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
    for labels, value in found:
        assert not isinstance(value, Histogram)
        plain.add_metric(labels, value)
    return plain


def _cumulated(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    return [*zip(bounds, map(float, accumulate(histogram.buckets)), strict=True)]


def samples(status: Status) -> Samples:
    """The samples of every metric, by the metric's name."""
    return {
        "shardproxy_info": [((status.version,), 1)],
        "shardproxy_ready": [((), not status.unready)],
        "shardproxy_uptime_seconds": [((), status.uptime)],
        **_map(status),
        **_proxy(status.counters),
        **_traffic(status.counters.shards),
        **_pools(status),
        **_pool_events(status.counters.pools),
        **_servers(status),
    }


def _map(status: Status) -> Samples:
    age = None if status.catalog is None else status.catalog.age
    return {
        "shardproxy_map_epoch": [((), status.epoch)],
        "shardproxy_map_moves": [((), len(status.moves))],
        "shardproxy_map_waits": [((), status.waits)],
        "shardproxy_catalog_age_seconds": [] if age is None else [((), age)],
    }


def _proxy(counters: Counters) -> Samples:
    proxy = counters.proxy
    return {
        "shardproxy_clients": [((), proxy.clients)],
        "shardproxy_client_connections_total": [((), proxy.clients_total)],
        "shardproxy_logins_failed_total": [((), proxy.logins_failed)],
        "shardproxy_statements_total": [
            (("one_shard",), proxy.one_shard),
            (("fan_out",), proxy.fan_out),
            (("anywhere",), proxy.anywhere),
            (("local",), proxy.local_answers),
            (("refused",), proxy.refused.total),
        ],
        "shardproxy_refused_total": [((construct,), count) for construct, count in proxy.refused],
        "shardproxy_plan_cache_hits_total": [((), proxy.plan_cache_hits)],
        "shardproxy_plan_cache_misses_total": [((), proxy.plan_cache_misses)],
        "shardproxy_plan_cache_evictions_total": [((), proxy.plan_cache_evictions)],
        "shardproxy_cancel_requests_total": [((), proxy.cancels_requested)],
        "shardproxy_cancels_total": [
            (("forwarded",), proxy.cancels_forwarded),
            (("ignored",), proxy.cancels_ignored),
        ],
        "shardproxy_pins_total": [((reason,), count) for reason, count in proxy.pins],
    }


def _traffic(shards: Mapping[tuple[str, str], ShardCounters]) -> Samples:
    each = sorted(shards.items())
    return {
        "shardproxy_queries_total": [(key, counted.queries) for key, counted in each],
        "shardproxy_transactions_total": [(key, counted.transactions) for key, counted in each],
        "shardproxy_query_duration_seconds": [(key, counted.latency) for key, counted in each],
        "shardproxy_errors_total": [
            ((*key, label), count) for key, counted in each for label, count in counted.errors
        ],
        "shardproxy_server_sent_bytes_total": [(key, counted.bytes_out) for key, counted in each],
        "shardproxy_server_received_bytes_total": [(key, counted.bytes_in) for key, counted in each],
    }


def _pools(status: Status) -> Samples:
    """Gauges by shard and role; the pools of several replicas are added up."""
    connections: dict[Labels, int] = {}
    waiting: dict[Labels, int] = {}
    for pool in status.pools:
        key = (pool.shard, pool.role)
        waiting[key] = waiting.get(key, 0) + pool.waiting
        for state, count in (("idle", pool.idle), ("active", pool.active), ("connecting", pool.connecting)):
            connections[*key, state] = connections.get((*key, state), 0) + count
    return {
        "shardproxy_pool_connections": [*connections.items()],
        "shardproxy_pool_waiting": [*waiting.items()],
    }


def _pool_events(pools: Mapping[tuple[str, str], PoolCounters]) -> Samples:
    each = sorted(pools.items())
    return {
        "shardproxy_pool_wait_seconds": [(key, counted.waits) for key, counted in each],
        "shardproxy_pool_wait_timeouts_total": [(key, counted.wait_timeouts) for key, counted in each],
        "shardproxy_pool_connects_total": [(key, counted.connects) for key, counted in each],
        "shardproxy_pool_connect_failures_total": [(key, counted.connect_failures) for key, counted in each],
        "shardproxy_pool_closes_total": [
            ((*key, reason), count) for key, counted in each for reason, count in counted.closes
        ],
        "shardproxy_pool_epoch_entries_total": [
            ((*key, outcome), count) for key, counted in each for outcome, count in counted.entries
        ],
    }


def _servers(status: Status) -> Samples:
    states = [(shard.name, state) for shard in status.shards for state in shard.servers]
    replicas = [
        ((shard, state.server.name), state) for shard, state in states if state.server.role is Role.REPLICA
    ]
    servers = [((shard, state.server.name, str(state.server.role)), state) for shard, state in states]
    return {
        "shardproxy_server_up": [(key, state.reachable) for key, state in servers],
        "shardproxy_server_role_as_configured": [
            (key, state.role is state.server.role) for key, state in servers if state.reachable
        ],
        "shardproxy_shard_writable": [((shard.name,), shard.writable) for shard in status.shards],
        "shardproxy_replica_in_rotation": [(key, state.in_rotation) for key, state in replicas],
        "shardproxy_replica_lag_seconds": [
            (key, state.lag_seconds) for key, state in replicas if state.lag_seconds is not None
        ],
        "shardproxy_replica_lag_bytes": [
            (key, state.lag_bytes) for key, state in replicas if state.lag_bytes is not None
        ],
    }
