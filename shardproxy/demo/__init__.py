"""The sample application, and real PostgreSQL servers on this machine to run it on.

``os_user``    which operating-system user PostgreSQL runs as (it refuses to be root)
``install``    where the PostgreSQL programs are
``run``        one run: its directory, its servers, and the watchdog that ends them if we die
``postgres``   one server: create, start, stop, kill, pause, copy to a replica, promote
``watchdog``   a small process that ends a run's servers when this process is gone
``schema.sql`` the sample schema; ``data`` generates its rows, ``load`` brings them to the shards
``command``    ``shardproxy demo``; ``tour`` is its ``--check``
"""
