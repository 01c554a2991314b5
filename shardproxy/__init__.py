"""shardproxy: a sidecar that makes many PostgreSQL servers behave like one database.

The architecture page is ``shardproxy/README.md``.
"""

from shardproxy.version import VERSION as __version__

__all__ = ["__version__"]
