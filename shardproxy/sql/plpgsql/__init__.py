"""PL/pgSQL: the source of a function, taken apart into the SQL it runs and what it assigns.

What runs text (EXECUTE, CALL, DO), or is not known here, is not understood: nothing that a body does is left
out of what is said of it.
"""

from shardproxy.sql.plpgsql.body import Body, read_body
from shardproxy.sql.plpgsql.cursor import NotUnderstood

__all__ = ["Body", "NotUnderstood", "read_body"]
