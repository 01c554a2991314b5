"""The map that all sidecars share: installed, read, published, followed; and the fences on the shards.

One PostgreSQL holds the catalog (``catalog*.sql``), every shard its own fence (``shard*.sql``), both in the
schema ``shardproxy``; ``versions`` says which script is for what. Safety rests on the shards, never on how
fresh a sidecar's map is.
"""
