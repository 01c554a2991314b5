"""OIDs of PostgreSQL's built-in types that a key, or a parameter beside one, can have (pg_type.dat)."""

from typing import Final

INT8: Final = 20
INT2: Final = 21
INT4: Final = 23
TEXT: Final = 25
UNKNOWN: Final = 705
VARCHAR: Final = 1043
UUID: Final = 2950

INT2_ARRAY: Final = 1005
INT4_ARRAY: Final = 1007
TEXT_ARRAY: Final = 1009
VARCHAR_ARRAY: Final = 1015
INT8_ARRAY: Final = 1016
UUID_ARRAY: Final = 2951

_NAMES: Final = {
    16: "boolean",
    17: "bytea",
    18: '"char"',
    19: "name",
    INT8: "bigint",
    INT2: "smallint",
    INT4: "integer",
    TEXT: "text",
    26: "oid",
    114: "json",
    700: "real",
    701: "double precision",
    UNKNOWN: "unknown",
    1000: "boolean[]",
    INT2_ARRAY: "smallint[]",
    INT4_ARRAY: "integer[]",
    TEXT_ARRAY: "text[]",
    1014: "character[]",
    VARCHAR_ARRAY: "character varying[]",
    INT8_ARRAY: "bigint[]",
    1042: "character",
    VARCHAR: "character varying",
    1082: "date",
    1114: "timestamp without time zone",
    1184: "timestamp with time zone",
    1231: "numeric[]",
    1700: "numeric",
    UUID: "uuid",
    UUID_ARRAY: "uuid[]",
    3802: "jsonb",
}


def type_name(type_oid: int) -> str:
    """The type's name as format_type() gives it, for messages; ``OID n`` for a type not listed here."""
    return _NAMES.get(type_oid, f"OID {type_oid}")
