"""Is it one database? Clients that write down what they were told, and checkers that find it out.

``history``        what clients did and were told: transactions, steps, outcomes, times. ``told``: the same as text
``checkers/``      pure functions from a history to its anomalies:
                   ``elements``   acknowledged ⊆ final ⊆ attempted; nothing twice, nothing of a transaction in part
                   ``orders``     a list has one order, of which each read is a beginning; agrees with real time
                   ``sets``       an element comes once and goes once; states follow one another; real time
                   ``registers``  swaps are one chain: no lost update; real time
                   ``totals``     money is neither made nor lost; balances follow from the ledger
                   ``cycles``     dependencies between transactions: G0, G1b, G1c, snapshots, write skew
                   ``real_time``  linearizability of one key, or what one session may rely on
``store``, ``good``, ``bad``   a correct store, the histories of its clients, and ways to damage these
``schema.sql``, ``workloads/``, ``client``   tables, and what clients do with them through any DSN
``runner``         a plan: workloads, clients, tenants, levels, manners; a *disturbance* beside them; a report
``disturbances``   terminated connections, crashes, stopped sidecars; ``to_and_fro``: moves
``shards``         three shards whose tenants may move, an operator, sidecars

A test of something that must not be noticed runs the workloads while it happens::

    async def moves(progress: Progress) -> None:
        for tenant in TENANTS:
            await progress.more(200)  # transactions
            ...

    report = aio.run(runner.run(dsns, Plan(TENANTS), moves), timeout=90)
    assert report.anomalies == [], report
    assert not report.errors, report

and, marked ``chaos``, for each seed of ``tests.support.chaos.rounds()``, so that ``make chaos`` makes it longer:
SHARDPROXY_CHAOS_SECONDS is how long each of these tests goes on (600), SHARDPROXY_CHAOS_MOVES how many moves a round has.
SHARDPROXY_CHAOS_SEED repeats a round's choices; what the servers make of them is never quite the same.
"""
