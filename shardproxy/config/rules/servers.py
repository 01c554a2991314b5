"""Rules about shards and addresses."""

from collections.abc import Iterator

from shardproxy.config.mistakes import OptionPath
from shardproxy.config.model import Config
from shardproxy.config.report import Report
from shardproxy.config.rules.declared import Declared


def check_servers(config: Config, declared: Declared, report: Report) -> None:
    """Shards are named once, each address belongs to one server, and the designated shard exists."""
    seen: set[str] = set()
    for i, shard in enumerate(config.shards):
        if shard.name in seen:
            report.mistake(
                ("shards", i, "name"), f"two shards are named '{shard.name}'; give each its own name"
            )
        seen.add(shard.name)
    _check_unique(_servers(config), "is also the address of {other}; each server is listed once", report)
    _check_unique(_listeners(config), "is also the address of {other}; listen on each address once", report)
    if not any(shard.weight for shard in config.shards):
        report.mistake(
            ("shards",), "every weight is 0, so no shard owns a bucket; give one a weight of 1 or more"
        )
    for path, name in ((("designated",), config.designated), (("catalog", "shard"), config.catalog.shard)):
        unknown = declared.missing_shard(name) if name is not None else None
        if unknown is not None:
            report.mistake(path, unknown)


def _servers(config: Config) -> Iterator[tuple[OptionPath, str, str]]:
    for i, shard in enumerate(config.shards):
        yield ("shards", i, "primary"), str(shard.primary).lower(), f"the primary of shard '{shard.name}'"
        for j, replica in enumerate(shard.replicas):
            yield ("shards", i, "replicas", j), str(replica).lower(), f"a replica of shard '{shard.name}'"


def _listeners(config: Config) -> Iterator[tuple[OptionPath, str, str]]:
    for i, listener in enumerate(config.listen):
        if listener.port:
            yield ("listen", i), str(listener).lower(), "another listener"
    if config.http is not None and config.http.port:
        yield ("http",), f"{config.http.host}:{config.http.port}".lower(), "http"


def _check_unique(places: Iterator[tuple[OptionPath, str, str]], message: str, report: Report) -> None:
    owners: dict[str, str] = {}
    for path, address, owner in places:
        if address in owners:
            report.mistake(path, f"{address} " + message.format(other=owners[address]))
        owners.setdefault(address, owner)
