"""Names and values quoted for statements that take no parameters (DDL, replication commands)."""

from shardproxy.topology.tables import RelationName


def identifier(name: str) -> str:
    """``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def relation(name: RelationName) -> str:
    """A schema-qualified name of a table."""
    return f"{identifier(name[0])}.{identifier(name[1])}"


def literal(value: str) -> str:
    """A string constant that means ``value`` whatever ``standard_conforming_strings`` is."""
    doubled = value.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in doubled else f"'{doubled}'"
