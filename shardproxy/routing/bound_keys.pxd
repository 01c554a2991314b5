# C types of bound_keys.py.
from shardproxy.topology.keys cimport from_text
from shardproxy.routing.parameters cimport Values

cpdef single_key(object source, object family, Values values)
cdef _literal_key(object source, object family, Values values)
