"""SET, RESET and SHOW."""

from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql.analysis.tree import Node, enum_name, inner, kind
from shardproxy.sql.classify import command_tag
from shardproxy.sql.statement import Kind, Reach, SettingChange, Statement

_OF_TRANSACTION: Final = frozenset(
    {"transaction_isolation", "transaction_read_only", "transaction_deferrable"}
)
_QUOTED_LISTS: Final = frozenset(
    {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}
)
"""Settings whose value is a list of identifiers (GUC_LIST_QUOTE)."""

OF_SERVER: Final = "transaction_read_only"
"""Of a replica it says "on", and yet the session's changes, which go to the primary, are made."""


def set_statement(node: Node, sql: str) -> Statement:
    """SET, RESET, SET TRANSACTION, SET SESSION CHARACTERISTICS, SET TIME ZONE, SET ROLE ..."""
    name = node.name.lower()
    match enum_name(node, "kind"):
        case "VAR_RESET_ALL":
            return _change(node, Kind.RESET, SettingChange("all", None, False, sql))
        case "VAR_RESET":
            return _change(node, Kind.RESET, SettingChange(name, None, False, sql))
        case "VAR_SET_MULTI":
            return _several(node, sql)
        case "VAR_SET_CURRENT":
            raise Refused("SET ... FROM CURRENT")
        case "VAR_SET_DEFAULT":
            value = None
        case _:
            value = setting_text(name, node.args)
    if name == "session_authorization":
        raise Refused("SET SESSION AUTHORIZATION", hint="Connect as that user, or use SET ROLE.")
    if name in _OF_TRANSACTION:
        return _plain(node, Kind.SET_TRANSACTION)
    return _change(node, Kind.SET, SettingChange(name, value, node.is_local, sql))


def show_statement(node: Node) -> Statement:
    """SHOW of one setting; the name "all" for SHOW ALL."""
    name = node.name.lower()
    stable = name != OF_SERVER
    return Statement(Kind.SHOW, "SHOW", Reach.ANYWHERE, name=name, read_only=stable, movable=stable)


def setting_text(name: str, arguments: Node) -> str:
    """The new value as flatten_set_variable_args() in guc_funcs.c writes it."""
    texts = [_argument(argument) for argument in arguments]
    if name in _QUOTED_LISTS:
        texts = [quote_identifier(text) for text in texts]
    return ", ".join(texts)


def quote_identifier(text: str) -> str:
    """An identifier as SHOW prints it: quoted unless it is plain lower case."""
    plain = text.isascii() and text.replace("_", "a").isalnum() and text.islower() and not text[0].isdigit()
    return text if plain else '"' + text.replace('"', '""') + '"'


def _argument(node: Node) -> str:
    if kind(node) == "type_cast":
        return _argument(node.type_cast.arg)
    if kind(node) != "a_const":
        raise Refused("SET to an expression")
    constant = inner(node)
    match constant.WhichOneof("val"):
        case "ival":
            return str(constant.ival.ival)
        case "fval":
            return str(constant.fval.fval)
        case "sval":
            return str(constant.sval.sval)
    raise Refused("SET to an expression")


def _several(node: Node, sql: str) -> Statement:
    match node.name:
        case "TRANSACTION":
            return _plain(node, Kind.SET_TRANSACTION)
        case "SESSION CHARACTERISTICS" if len(node.args) == 1:
            option = node.args[0].def_elem
            value = _argument(option.arg)
            if option.defname != "transaction_isolation":
                value = "off" if value == "0" else "on"
            return _change(node, Kind.SET, SettingChange(f"default_{option.defname}", value, False, sql))
        case "SESSION CHARACTERISTICS":
            raise Refused(
                "SET SESSION CHARACTERISTICS with several characteristics", hint="Set them one by one."
            )
    raise Refused(f"SET {node.name}", hint="Snapshots cannot be shared between servers.")


def _plain(node: Node, statement_kind: Kind) -> Statement:
    return Statement(statement_kind, command_tag(node), Reach.ANYWHERE, foldable=False)


def _change(node: Node, statement_kind: Kind, change: SettingChange) -> Statement:
    return Statement(statement_kind, command_tag(node), Reach.ANYWHERE, setting=change, foldable=False)
