"""Load tests: what the sidecar costs and gains, next to a direct connection and to PgBouncer.

``bench``     the command: plan, run in rounds, report
``plan``      which runs, in which order, and how long they will take
``database``  the server, its tables and its rows
``targets``   what pgbench connects to: PostgreSQL, PgBouncer, shardproxy
``pgbench``   one run of pgbench and what it printed
``cpu``       processor time of a process and its children
``results``   medians and ratios over the rounds
``report``    the table and the JSON
``machine``   what it was measured on
``rebalance`` an application at a steady rate, and what it notices of a command beside it
"""
