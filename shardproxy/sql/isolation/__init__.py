"""Tenant isolation: a statement rewritten so that it sees and changes only the rows of one tenant.

``rewriter`` adds the conditions to the parse tree. Then two proofs are made, and what does not pass is
refused: the text that is sent parses to the tree that was made (``written``), and the analysis, which
knows nothing of the rewriting, finds every occurrence of every table of the tenant group bound to the
tenant, or to keys that routing compares with it (``bound``). ``isolator`` remembers templates by the
shape of statements.

Rewritten text is the grammar's: comments are gone, and positions in errors of the server count in it, not in
the client's text.
"""

from shardproxy.sql.isolation.isolator import Isolator
from shardproxy.sql.isolation.template import Template, isolate

__all__ = ["Isolator", "Template", "isolate"]
