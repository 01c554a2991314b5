"""What goes wrong with the demo's own servers."""

from shardproxy.errors import ShardproxyError


class DemoError(ShardproxyError):
    """A PostgreSQL program was not found, did not start, or failed at its work; the message says why."""
