"""What a statement is, which tables it touches and which keys bind them: sound, or refused.

``statements`` is the entry. A raw tree is surveyed as a whole (``survey``), then built into query levels
(``build_*``, ``levels``) with the equalities that hold in each (``conditions``, ``equivalence``); ``bind``
carries them down to every occurrence of a sharded table, ``fan_out`` asks whether shards may answer one by
one, and ``verdict`` says it in the words of :class:`~shardproxy.sql.statement.Statement`.
"""

from shardproxy.sql.analysis.statements import analyze

__all__ = ["analyze"]
