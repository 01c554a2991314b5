# C types of shard_map.py: none, a frozen dataclass has none.
from shardproxy.topology.keys cimport bucket
