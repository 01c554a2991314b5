"""Whether a query binds a transaction block to the shard that ran it, see ``Statement.movable``.

Where a text does not prove that nobody can tell, the query binds.
"""
# ruff: noqa: SIM905

from typing import TYPE_CHECKING, Final

from shardproxy.sql.analysis import catalog_functions as catalog
from shardproxy.sql.analysis.names import SYSTEM_SCHEMAS, Names, Nature, Target
from shardproxy.sql.analysis.survey import Survey
from shardproxy.sql.analysis.tree import Node, type_name
from shardproxy.sql.statement import Reach, Statement

if TYPE_CHECKING:
    from shardproxy.sql.analysis.context import Context

TIMELESS_TYPES: Final = frozenset(
    """
    bool bpchar bytea cardinal_number char character_data cid float4 float8 int2 int2vector int4 int8 json
    jsonb name numeric oid oidvector regclass regcollation regconfig regdictionary regnamespace regoper
    regoperator regproc regprocedure regrole regtype sql_identifier text tid uuid varchar xid yes_or_no
    """.split()
)
"""Types of which no value depends on when it was read; a cast to any other type binds. Arrays have the name
of their elements.
"""


def is_movable(context: "Context", query: Node, statement: Statement) -> bool:
    """Whether ``statement``, the plan of ``query``, is what ``Statement.movable`` says."""
    use = context.use
    return (
        type_name(query) == "SelectStmt"
        and statement.reach is Reach.ANYWHERE
        and statement.pins is None
        and not (use.binds or use.sequence or use.notifies or context.written)
        and len(statement.set_config) == len(use.set_configs)
        and not context.unknown
        and not any(map(_shows_state, context.targets.values()))
    )


def binds(found: Survey, names: Names) -> bool:
    """Whether a text binds by what occurs in it, its functions aside."""
    return (
        found.locking
        or found.data_changes
        or found.system_columns
        or found.clock is not None
        or not names.builtin_first
        or not found.operators.isdisjoint(names.schema.user_operators)
        or not all(map(_is_timeless, found.types))
    )


def _is_timeless(name: tuple[str, ...]) -> bool:
    return name[-1] in TIMELESS_TYPES and (len(name) == 1 or name[-2] in SYSTEM_SCHEMAS)


def _shows_state(target: Target) -> bool:
    schema, name = target.name
    if target.nature is not Nature.SYSTEM:
        return False
    if schema == "pg_toast":  # the rows of users' tables
        return True
    return name in catalog.BINDING_VIEWS or name.startswith(catalog.BINDING_VIEW_PREFIXES)
