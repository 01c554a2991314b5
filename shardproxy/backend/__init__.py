"""The shard's side: logging in, server connections, pools, cancelling; one
:class:`~shardproxy.backend.shards.Shard` each.
"""
