"""Command tags: what CommandComplete would say of a statement, without its counts (cmdtaglist.h)."""

from collections.abc import Callable
from typing import Any, Final

Node = Any
"""A statement of the raw parse tree."""

_TAGS: Final = {
    "SelectStmt": "SELECT",
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "MergeStmt": "MERGE",
    "CopyStmt": "COPY",
    "ExplainStmt": "EXPLAIN",
    "PrepareStmt": "PREPARE",
    "ExecuteStmt": "EXECUTE",
    "DeclareCursorStmt": "DECLARE CURSOR",
    "CheckPointStmt": "CHECKPOINT",
    "ListenStmt": "LISTEN",
    "UnlistenStmt": "UNLISTEN",
    "NotifyStmt": "NOTIFY",
    "LoadStmt": "LOAD",
    "DoStmt": "DO",
    "CallStmt": "CALL",
    "LockStmt": "LOCK TABLE",
    "TruncateStmt": "TRUNCATE TABLE",
    "VariableShowStmt": "SHOW",
    "ConstraintsSetStmt": "SET CONSTRAINTS",
    "CreateStmt": "CREATE TABLE",
    "IndexStmt": "CREATE INDEX",
    "ViewStmt": "CREATE VIEW",
    "CreateSeqStmt": "CREATE SEQUENCE",
    "CreateFunctionStmt": "CREATE FUNCTION",
    "CreateTrigStmt": "CREATE TRIGGER",
    "RuleStmt": "CREATE RULE",
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW",
    "ReindexStmt": "REINDEX",
    "ClusterStmt": "CLUSTER",
    "CommentStmt": "COMMENT",
    "SecLabelStmt": "SECURITY LABEL",
    "AlterSystemStmt": "ALTER SYSTEM",
    "AlterSeqStmt": "ALTER SEQUENCE",
    "GrantStmt": "GRANT",
    "GrantRoleStmt": "GRANT ROLE",
    "ImportForeignSchemaStmt": "IMPORT FOREIGN SCHEMA",
}
"""The statements whose tag does not depend on what is in them. Others: :data:`_BY_CONTENT`, else their type's
name.
"""

_TRANSACTIONS: Final = {
    "TRANS_STMT_BEGIN": "BEGIN",
    "TRANS_STMT_START": "START TRANSACTION",
    "TRANS_STMT_COMMIT": "COMMIT",
    "TRANS_STMT_ROLLBACK": "ROLLBACK",
    "TRANS_STMT_SAVEPOINT": "SAVEPOINT",
    "TRANS_STMT_RELEASE": "RELEASE",
    "TRANS_STMT_ROLLBACK_TO": "ROLLBACK",
    "TRANS_STMT_PREPARE": "PREPARE TRANSACTION",
    "TRANS_STMT_COMMIT_PREPARED": "COMMIT PREPARED",
    "TRANS_STMT_ROLLBACK_PREPARED": "ROLLBACK PREPARED",
}

_OBJECTS: Final = {
    "OBJECT_MATVIEW": "MATERIALIZED VIEW",
    "OBJECT_FDW": "FOREIGN DATA WRAPPER",
    "OBJECT_FOREIGN_SERVER": "SERVER",
    "OBJECT_TABCONSTRAINT": "TABLE",
    "OBJECT_OPCLASS": "OPERATOR CLASS",
    "OBJECT_OPFAMILY": "OPERATOR FAMILY",
    "OBJECT_STATISTIC_EXT": "STATISTICS",
    "OBJECT_TSCONFIGURATION": "TEXT SEARCH CONFIGURATION",
    "OBJECT_TSDICTIONARY": "TEXT SEARCH DICTIONARY",
    "OBJECT_TSPARSER": "TEXT SEARCH PARSER",
    "OBJECT_TSTEMPLATE": "TEXT SEARCH TEMPLATE",
}

_BY_CONTENT: Final[dict[str, Callable[[Node], str]]] = {
    "TransactionStmt": lambda node: _TRANSACTIONS[_enum(node, "kind")],
    "VariableSetStmt": lambda node: "RESET" if _enum(node, "kind").startswith("VAR_RESET") else "SET",
    "DiscardStmt": lambda node: _enum(node, "target").replace("_", " "),
    "DeallocateStmt": lambda node: "DEALLOCATE ALL" if node.isall else "DEALLOCATE",
    "FetchStmt": lambda node: "MOVE" if node.ismove else "FETCH",
    "ClosePortalStmt": lambda node: "CLOSE CURSOR" if node.portalname else "CLOSE CURSOR ALL",
    "VacuumStmt": lambda node: "VACUUM" if node.is_vacuumcmd else "ANALYZE",
    "DropStmt": lambda node: f"DROP {_object(_enum(node, 'remove_type'))}",
    "AlterTableStmt": lambda node: f"ALTER {_object(_enum(node, 'objtype'))}",
    "DefineStmt": lambda node: f"CREATE {_object(_enum(node, 'kind'))}",
    "AlterOwnerStmt": lambda node: f"ALTER {_object(_enum(node, 'object_type'))}",
    "AlterObjectSchemaStmt": lambda node: f"ALTER {_object(_enum(node, 'object_type'))}",
    "RenameStmt": lambda node: f"ALTER {_object(_enum(node, _renamed(node)))}",
    "CreateTableAsStmt": lambda node: (
        "SELECT" if _enum(node, "objtype") == "OBJECT_TABLE" else "CREATE MATERIALIZED VIEW"
    ),
}


def command_tag(statement: Node) -> str:
    """The command tag of a statement's message, for example "SELECT" or "DROP TABLE"."""
    name = type(statement).__name__
    by_content = _BY_CONTENT.get(name)
    if by_content is not None:
        return by_content(statement)
    return _TAGS.get(name) or _spelled_out(name)


def _enum(node: Node, field: str) -> str:
    enum = type(node).DESCRIPTOR.fields_by_name[field].enum_type
    return str(enum.values_by_number[getattr(node, field)].name)


def _object(enumerator: str) -> str:
    return _OBJECTS.get(enumerator) or enumerator.removeprefix("OBJECT_").replace("_", " ")


def _renamed(node: Node) -> str:
    """The field that says what a RenameStmt alters: the relation, when a part of one is renamed."""
    parts = ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE")
    return "relation_type" if _enum(node, "rename_type") in parts else "rename_type"


def _spelled_out(name: str) -> str:
    """``CreatePublicationStmt`` as "CREATE PUBLICATION"."""
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in name.removesuffix("Stmt"))
    return words.strip().upper()
