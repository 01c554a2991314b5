# C types of router.py.
from shardproxy.routing.bound_keys cimport single_key
from shardproxy.routing.parameters cimport Values

cpdef route(object statement, Values values, object context, object shard_map)
cdef _role(object statement, object context)
