"""What must hold between options: names that exist, addresses used once, keys of the right type."""

from shardproxy.config.model import Config
from shardproxy.config.report import Report
from shardproxy.config.rules.access import check_access
from shardproxy.config.rules.declared import Declared
from shardproxy.config.rules.servers import check_servers
from shardproxy.config.rules.spread import check_spread


def check_rules(config: Config, names: Declared, report: Report) -> None:
    """Report every broken rule. ``names``: all that the file declares."""
    check_access(config, names, report)
    check_servers(config, names, report)
    check_spread(config, names, report)


__all__ = ["check_rules"]
