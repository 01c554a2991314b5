"""Moving rows from shard to shard while they are used. ``steps.py`` lists what a move does, in order.

One process drives a move. Each step is written to the journal before it acts, and looks at what is there
before it does anything, so that any process can go on after a crash at any point. There is one commit point,
the publication of the map in the step ``flip``: before it everything can be undone, after it everything goes
forward.
"""
