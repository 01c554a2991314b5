"""Rules about groups, placements, tables and trusted functions: every name exists and every key is of its
group's type.
"""

from collections.abc import Iterator

from shardproxy.config.mistakes import OptionPath
from shardproxy.config.model import Config, Group, Table
from shardproxy.config.model.config import DEFAULT_GROUP
from shardproxy.config.model.tables import FAMILIES, INTEGER_BITS
from shardproxy.config.names import BadName, parse_identifier, parse_relation
from shardproxy.config.report import Report
from shardproxy.config.rules.declared import Declared
from shardproxy.sql.schema import OWN
from shardproxy.topology.keys import InvalidKey, Key, from_text
from shardproxy.topology.tables import RelationName

_SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})


def check_spread(config: Config, declared: Declared, report: Report) -> None:
    """Report unknown groups and shards, unusable keys, and tables and functions that are named twice."""
    if config.tenant_group is not None:
        _check_group(("tenant_group",), config.tenant_group, config, declared, report)
    _check_placements(config, declared, report)
    tables: dict[RelationName, str] = {}
    for name, table in config.tables.items():
        _check_name(name, tables, report)
        _check_table(("tables", name), table, config, declared, report)
    functions: dict[RelationName, str] = {}
    for i, name in enumerate(config.trusted_functions):
        _check_function(("trusted_functions", i), name, functions, report)


def placements(config: Config) -> Iterator[tuple[OptionPath, str, str, str]]:
    """Every placement of the file: its path, group, key and shard."""
    for key, shard in config.placements.items():
        yield ("placements", key), config.tenant_group_name, key, shard
    for name, group in config.groups.items():
        for key, shard in group.placements.items():
            yield ("groups", name, "placements", key), name, key, shard


def _check_placements(config: Config, declared: Declared, report: Report) -> None:
    placed: dict[tuple[str, Key], OptionPath] = {}
    for path, group_name, text, shard in placements(config):
        _check_shard(path, shard, declared, report)
        group = config.groups.get(group_name)
        # The group is unknown, or another one than the file means: that is reported where it stands.
        if group is None or (len(path) == 2 and _tenant_group_is_unusable(config, declared)):
            continue
        key = _key(group, text)
        if key is None:
            report.mistake(
                path,
                f"the key is not of type {group.type}, which group '{group_name}' has; correct the key",
                at_key=True,
            )
        elif (group_name, key) in placed:
            report.mistake(path, "the same key is placed twice; keep one", at_key=True)
        else:
            placed[group_name, key] = path


def _tenant_group_is_unusable(config: Config, declared: Declared) -> bool:
    meant = DEFAULT_GROUP if DEFAULT_GROUP in declared.groups else next(iter(declared.groups), None)
    return config.tenant_group is None and meant is not None and meant not in config.groups


def _key(group: Group, text: str) -> Key | None:
    try:
        key = from_text(FAMILIES[group.type], text)
    except InvalidKey:
        return None
    if isinstance(key, int):
        half = 1 << (INTEGER_BITS[group.type] - 1)
        return key if -half <= key < half else None
    return key


def _check_name(name: str, tables: dict[RelationName, str], report: Report) -> None:
    path: OptionPath = ("tables", name)
    try:
        relation = parse_relation(name)
    except BadName as error:
        report.mistake(path, str(error), at_key=True)
        return
    if relation[0] in _SYSTEM_SCHEMAS or relation[0].startswith("pg_"):
        report.mistake(
            path, "system catalogs are answered by the designated shard; remove the table", at_key=True
        )
    if relation[0] == OWN:
        report.mistake(
            path,
            "the schema shardproxy is the proxy's own; remove the table, or rename its schema",
            at_key=True,
        )
    if relation in tables:
        report.mistake(path, f"is the same table as '{tables[relation]}'; keep one", at_key=True)
    tables.setdefault(relation, name)


def _check_function(path: OptionPath, name: str, functions: dict[RelationName, str], report: Report) -> None:
    try:
        function = parse_relation(name, "function")
    except BadName as error:
        report.mistake(path, f"{error}, without arguments")
        return
    if function in functions:
        report.mistake(path, f"is the same function as '{functions[function]}'; keep one")
    functions.setdefault(function, name)


def _check_table(path: OptionPath, table: Table, config: Config, declared: Declared, report: Report) -> None:
    if table.key is not None:
        try:
            parse_identifier(table.key)
        except BadName as error:
            report.mistake((*path, "key"), str(error))
    if table.group is not None:
        _check_group((*path, "group"), table.group, config, declared, report)
    if table.local is not None:
        _check_shard((*path, "local"), table.local, declared, report)


def _check_shard(path: OptionPath, name: str, declared: Declared, report: Report) -> None:
    unknown = declared.missing_shard(name)
    if unknown is not None:
        report.mistake(path, unknown)


def _check_group(path: OptionPath, name: str, config: Config, declared: Declared, report: Report) -> None:
    unknown = declared.missing_group(name, config.groups)
    if unknown is not None:
        report.mistake(path, unknown)
