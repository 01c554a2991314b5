"""SELECT set_config(...): SET as a function call, which drivers and frameworks use.

Where the calls are the columns of a SELECT without tables, the session follows them as it follows SET.
Anywhere else, in a SELECT that is explained, prepared or copied too, only settings that do not change how
statements are read may be set, and the session keeps its server connection.
"""

from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql.analysis.settings import OF_SERVER
from shardproxy.sql.analysis.tree import Node, inner, kind, strings, type_name
from shardproxy.sql.statement import SettingChange

NAME: Final = "set_config"
READING: Final = "current_setting"
READ_BY_US: Final = frozenset(
    {"search_path", "role", "session_authorization", "client_encoding", "standard_conforming_strings"}
    | {"backslash_quote", "transform_null_equals", "array_nulls"}
)
"""Settings on which it depends what a statement means, or who runs it."""


def is_call(call: Node) -> bool:
    """Whether a FuncCall is of set_config."""
    parts = strings(call.funcname)
    return parts[-1] == NAME and (len(parts) == 1 or parts[-2] == "pg_catalog")


def followed(node: Node) -> tuple[SettingChange, ...]:
    """The changes that the columns of a plain SELECT make, in order; empty for any other query."""
    if type_name(node) != "SelectStmt" or {field.name for field, _ in node.ListFields()} - {
        "target_list",
        "limit_option",
        "op",
    }:
        return ()
    calls = [inner(inner(target).val) for target in node.target_list]
    changes = [_change(call) for call in calls if type_name(call) == "FuncCall" and is_call(call)]
    return tuple(change for change in changes if change is not None)


def check_elsewhere(call: Node) -> bool:
    """Refuse a call whose setting we would have to follow; True when the setting outlives the transaction."""
    name = _text(call.args[0]) if call.args else None
    if name is None or name.lower() in READ_BY_US or name.lower().startswith("shardproxy."):
        raise Refused(
            f"set_config() of {name or 'a setting that is not a constant'} inside a query",
            hint="Use SET, or SELECT set_config(...) without a table.",
        )
    return len(call.args) != 3 or _boolean(call.args[2]) is not True


def check_read(call: Node) -> bool:
    """Refuse current_setting() of one of the proxy's own, which no server knows; False when a replica must
    not be asked.
    """
    name = _text(call.args[0]) if call.args else None
    if name is not None and name.lower().startswith("shardproxy."):
        raise Refused(f"current_setting() of {name}", hint=f"SHOW {name.lower()} tells it.")
    return name is None or name.lower() != OF_SERVER


def _change(call: Node) -> SettingChange | None:
    if len(call.args) != 3:
        return None
    name, value, local = _text(call.args[0]), call.args[1], _boolean(call.args[2])
    if name is None or local is None:
        return None
    while kind(value) == "type_cast":
        if strings(value.type_cast.type_name.names)[-1] not in ("text", "varchar"):
            return None
        value = value.type_cast.arg
    if kind(value) == "param_ref":
        return SettingChange(name.lower(), None, local, "", parameter=value.param_ref.number)
    if kind(value) == "a_const" and value.a_const.isnull:
        return SettingChange(name.lower(), None, local, "")
    text = _text(value)
    return None if text is None else SettingChange(name.lower(), text, local, "")


def _text(node: Node) -> str | None:
    while kind(node) == "type_cast":
        node = node.type_cast.arg
    is_text = kind(node) == "a_const" and node.a_const.WhichOneof("val") == "sval"
    return str(node.a_const.sval.sval) if is_text else None


def _boolean(node: Node) -> bool | None:
    is_boolean = kind(node) == "a_const" and node.a_const.WhichOneof("val") == "boolval"
    return bool(node.a_const.boolval.boolval) if is_boolean else None
