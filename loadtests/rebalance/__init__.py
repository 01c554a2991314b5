"""What an application notices while tenants move: ``python -m loadtests.rebalance -- COMMAND``.

``servers``      three shards, the moving tenant's rows and the others', sidecars in front
``application``  transactions on one tenant, and on the others, each begun when it is due
``measure``      both at once, and the command beside them
``timeline``     what of it happened in each 50 ms, and before, during and after the command
``chart``        the timeline as a picture
``report``       the table, the JSON and the picture's file

How fast rows and tenants move when nothing else does: ``python -m loadtests.rebalance.rates``.

``pair``         two shards
``rates``        moves from one to the other, beside PostgreSQL's own replication
"""
