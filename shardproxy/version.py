VERSION = "0.1.0"
"""The version of this build; ``shardproxy --version`` adds whether the leaves are compiled."""
