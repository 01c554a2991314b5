"""The sample application, and real PostgreSQL servers on this machine to run it on.

Servers: ``os_user`` (who runs PostgreSQL, which refuses to be root), ``install`` (where its programs are),
``settings``, ``ports``, ``postgres`` (one server: create, start, kill, pause, copy, promote), ``run`` (the
owner of some servers) and ``watchdog`` (ends them if the owner is killed).

Application: ``schema.sql``, ``data`` (its rows), ``load`` (brings them to the shards), ``cluster`` (shards
with replicas).

The command: ``shape`` (how big, and what ``--dir`` keeps), ``sidecar``, ``stage`` (all of it, up and down),
``command`` (``shardproxy demo``) and ``tour`` (its ``--check``).
"""
