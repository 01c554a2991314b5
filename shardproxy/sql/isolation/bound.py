"""The proof that a rewritten statement touches only rows of the tenant, made by the analysis."""

from shardproxy.errors import Refused
from shardproxy.sql.analysis.functions import FunctionUse
from shardproxy.sql.analysis.names import Names
from shardproxy.sql.analysis.survey import survey
from shardproxy.sql.analysis.tree import Node, inner
from shardproxy.sql.analysis.verdict import READING_HINT
from shardproxy.sql.isolation.written import HINT
from shardproxy.sql.statement import Constant, KeySet, Kind, Reach, Statement
from shardproxy.topology.keys import Key
from shardproxy.topology.tables import Sharded, TableRules


def check_functions(statement: Node, names: Names) -> None:
    """Refuse functions of the user that may read tables: what they read is not rewritten."""
    use = FunctionUse()
    use.add_all(survey(inner(statement)), names)
    if use.reads is not None:
        raise Refused(
            f"the function {use.reads}, which may read rows of other tenants",
            detail=use.why,
            hint=READING_HINT,
        )


def check_bound(before: Statement, after: Statement, rules: TableRules, own: Key) -> None:
    """Raise Refused unless every table of the tenant group has the tenant's key in the rewritten statement.

    Other keys are those of the original statement: routing compares them with the session's tenant.
    """
    if after.reach is Reach.REFUSED:
        refusal = after.refusal
        assert refusal is not None
        raise Refused(refusal.construct, hint=refusal.hint, detail=refusal.detail, sqlstate=refusal.sqlstate)
    if after.reads is not None:
        raise Refused(after.reads.construct, detail=after.reads.detail, hint=after.reads.hint)
    if after.reach is Reach.UNBOUND and not after.unbound and not after.sequence:
        raise Refused(f"{after.tag}, which may read rows of other tenants", hint=HINT)
    if after.kind is Kind.COPY_IN:
        return  # the server looks at each row
    for name in after.unbound:
        rule = rules.rules.get(name)
        if not isinstance(rule, Sharded) or rule.group == rules.tenant_group:
            raise Refused(f'the table "{name[1]}" here, whose rows cannot be bound to the tenant', hint=HINT)
    for key_set in after.key_sets:
        if key_set.group == rules.tenant_group and not _is_tenants(key_set, before, own):
            raise Refused("keys that cannot be proven to be the tenant's", hint=HINT)


def _is_tenants(key_set: KeySet, before: Statement, own: Key) -> bool:
    compared = {
        source for known in before.key_sets if known.group == key_set.group for source in known.sources
    }
    return set(key_set.sources) <= compared | {Constant(own)}
