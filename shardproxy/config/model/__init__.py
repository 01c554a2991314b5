"""The options, one file per noun. :class:`Config` is the whole configuration."""

from shardproxy.config.model.access import Auth, Console, Credential, Operator, ServerLogin, User
from shardproxy.config.model.address import Address, Http, Listener
from shardproxy.config.model.config import Config
from shardproxy.config.model.section import Section
from shardproxy.config.model.shards import Catalog, Ring, Shard
from shardproxy.config.model.tables import Group, Table
from shardproxy.config.model.traffic import Limits, Log, Pool, Reads, Timeouts

__all__ = [
    "Address",
    "Auth",
    "Catalog",
    "Config",
    "Console",
    "Credential",
    "Group",
    "Http",
    "Limits",
    "Listener",
    "Log",
    "Operator",
    "Pool",
    "Reads",
    "Ring",
    "Section",
    "ServerLogin",
    "Shard",
    "Table",
    "Timeouts",
    "User",
]
