"""What PostgreSQL's logical replication needs on both sides: slots with a snapshot, publications,
subscriptions.

Every function is told names and looks before it acts, so that it can be repeated after a crash at any point.
"""
