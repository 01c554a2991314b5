"""Differences between a configuration and the catalog, at their places in the file."""

from collections.abc import Iterable

from shardproxy.catalog.agreement import Difference, Disagreement
from shardproxy.config.load import Loaded
from shardproxy.config.mistakes import ConfigMistakes, OptionPath
from shardproxy.config.model import Config
from shardproxy.config.names import parse_relation
from shardproxy.config.report import Report


def report_differences(differences: Iterable[Difference], config: Config, report: Report) -> None:
    """Add each as a mistake."""
    for difference in differences:
        report.mistake(_path(difference, config), difference.message, at_key=True)


def placed(error: Disagreement, loaded: Loaded) -> ConfigMistakes:
    """The same with each difference at its place in the file."""
    assert loaded.config is not None
    assert loaded.report is not None
    report_differences(error.differences, loaded.config, loaded.report)
    return ConfigMistakes(loaded.report.mistakes)


def _path(difference: Difference, config: Config) -> OptionPath:
    name = difference.name
    if isinstance(name, tuple):
        written = (key for key in config.tables if parse_relation(key) == name)
        schema, table = name
        return ("tables", next(written, table if schema == "public" else f"{schema}.{table}"))
    return (difference.section, name) if difference.section == "groups" else (difference.section,)
