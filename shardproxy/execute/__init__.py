"""Running a statement where it was routed: one file per kind of route. One shard needs none: the session
relays it.
"""
