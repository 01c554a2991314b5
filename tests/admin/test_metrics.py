"""The metrics: all documented, all exposed, all true."""

import re
from importlib.resources import files
from itertools import count

from prometheus_client.parser import text_string_to_metric_families

from shardproxy.admin.metrics import METRICS, render
from shardproxy.admin.status import CatalogStatus
from shardproxy.counters import LATENCY_BOUNDS, Counters, Tally
from tests.admin.moments import moment

Exposed = dict[tuple[str, frozenset[tuple[str, str]]], float]


def exposed(text: bytes) -> Exposed:
    """What a scraper reads: values by sample name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(of: Exposed, name: str, **labels: str) -> float:
    return of[name, frozenset(labels.items())]


def test_the_readme_documents_exactly_the_metrics_there_are() -> None:
    readme = files("shardproxy.admin").joinpath("README.md").read_text()
    rows = re.findall(r"^\| `(shardproxy_\w+)` \| (\w+) \| ([^|]*)\| ([^|]+) \|$", readme, re.MULTILINE)
    documented = [
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)), text) for name, kind, labels, text in rows
    ]
    assert documented == [(spec.name, spec.kind, spec.labels, spec.help) for spec in METRICS]


def full() -> Counters:
    """Counters in which every figure is another one."""
    counters, numbers = Counters(), count(1001)
    for counted in (
        counters.proxy,
        counters.shard("shard-a", "primary"),
        counters.pool("shard-a", "primary"),
    ):
        for name in counted.__slots__:
            figure = getattr(counted, name)
            if isinstance(figure, int):
                setattr(counted, name, next(numbers))
            elif isinstance(figure, Tally):
                figure.add("label", next(numbers))
            else:
                figure.observe(float(next(numbers)))
    return counters


def test_every_counter_is_exposed() -> None:
    counters = full()
    values = set(exposed(render(moment(counters=counters))).values())
    proxy, shard, pool = (
        counters.proxy,
        counters.shards["shard-a", "primary"],
        counters.pools["shard-a", "primary"],
    )
    for counted in (proxy, shard, pool):
        for name in counted.__slots__:
            figure = getattr(counted, name)
            assert (figure if isinstance(figure, int) else figure.total) in values, name


def test_every_metric_is_exposed_with_its_type_its_labels_and_help() -> None:
    everything = moment(counters=full(), epoch=1, catalog=CatalogStatus("1234", 2.5, None))
    families = {family.name: family for family in text_string_to_metric_families(render(everything).decode())}
    for spec in METRICS:
        found = families.pop(spec.name.removesuffix("_total") if spec.kind == "counter" else spec.name)
        assert (found.type, found.documentation) == (spec.kind, spec.help)
        assert found.samples, spec.name
        for sample in found.samples:
            assert sample.labels.keys() - {"le"} == set(spec.labels)
    assert all(name.startswith("process_") for name in families)
    assert "process_cpu_seconds" in families


def test_what_never_happened_is_zero_and_not_absent() -> None:
    found = exposed(render(moment()))
    for route in ("one_shard", "fan_out", "anywhere", "local", "refused"):
        assert value(found, "shardproxy_statements_total", route=route) == 0


def test_histograms_are_cumulated_with_bounds_that_belong_to_their_bucket() -> None:
    counters = Counters()
    latency = counters.shard("shard-a", "primary").latency
    for seconds in (50e-6, 60e-6, 0.001, 61.0):
        latency.observe(seconds)
    found = exposed(render(moment(counters=counters)))
    where = {"shard": "shard-a", "role": "primary"}

    def below(bound: str) -> float:
        return value(found, "shardproxy_query_duration_seconds_bucket", le=bound, **where)

    assert [below("5e-05"), below("0.0001"), below("0.001"), below("60.0"), below("+Inf")] == [1, 2, 3, 3, 4]
    assert value(found, "shardproxy_query_duration_seconds_count", **where) == 4
    assert value(found, "shardproxy_query_duration_seconds_sum", **where) == 61.00111
    assert len([name for name, _ in found if name == "shardproxy_query_duration_seconds_bucket"]) == (
        len(LATENCY_BOUNDS) + 1
    )


def test_pools_of_several_replicas_are_added_up() -> None:
    found = exposed(render(moment()))
    replica = {"shard": "shard-a", "role": "replica"}
    assert value(found, "shardproxy_pool_connections", state="idle", **replica) == 6
    assert value(found, "shardproxy_pool_connections", state="active", **replica) == 1
    assert value(found, "shardproxy_pool_waiting", **replica) == 2
    assert value(found, "shardproxy_pool_waiting", shard="shard-a", role="primary") == 4


def test_the_map_and_the_age_of_the_catalogs_answer_are_told() -> None:
    found = exposed(render(moment(epoch=7, catalog=CatalogStatus("1234", 2.5, None))))
    assert value(found, "shardproxy_map_epoch") == 7
    assert value(found, "shardproxy_catalog_age_seconds") == 2.5
    alone = exposed(render(moment()))
    assert value(alone, "shardproxy_map_epoch") == 0
    assert not any(name == "shardproxy_catalog_age_seconds" for name, _ in alone)


def test_servers_tell_whether_they_are_up_and_how_far_behind() -> None:
    found = exposed(render(moment()))
    assert value(found, "shardproxy_server_up", shard="shard-a", server="p:5432", role="primary") == 1
    assert value(found, "shardproxy_server_up", shard="shard-b", server="p:5432", role="primary") == 0
    assert value(found, "shardproxy_shard_writable", shard="shard-a") == 1
    assert value(found, "shardproxy_shard_writable", shard="shard-b") == 0
    replica = {"shard": "shard-a", "server": "r:5432"}
    assert value(found, "shardproxy_replica_in_rotation", **replica) == 1
    assert value(found, "shardproxy_replica_lag_seconds", **replica) == 0.25
    assert value(found, "shardproxy_replica_lag_bytes", **replica) == 512


def test_labels_with_quotes_and_newlines_survive() -> None:
    counters = Counters()
    counters.proxy.refused.add('a "quoted"\nconstruct \\ here')
    found = exposed(render(moment(counters=counters)))
    assert value(found, "shardproxy_refused_total", construct='a "quoted"\nconstruct \\ here') == 1
