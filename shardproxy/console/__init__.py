"""The operator's view of a running proxy over psql: the virtual database ``shardproxy``.

``conversation`` speaks the simple protocol with one client, ``commands`` reads what it says, ``views`` and
``catalog_views`` answer SHOW, ``children`` are the processes that drive moves, and ``console`` decides who
may do what. It works also while no shard can be reached.
"""
