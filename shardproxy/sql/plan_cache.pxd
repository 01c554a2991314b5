# C types of plan_cache.py: none, its class is generic.
