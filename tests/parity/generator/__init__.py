"""Random statements over the sample schema, most of them valid, many of them with a key in the wrong place.

A seed makes the same statements everywhere. ``%(t)s`` and its like are the placeholders of ``statements.py``, with
``v`` (a tenant of a third shard), ``nil`` (NULL), and ``ts`` and ``ds`` (lists of tenants and of devices) beside them.
"""

from tests.parity.generator.changes import Changes
from tests.parity.generator.queries import Queries

__all__ = ["Changes", "Queries"]
