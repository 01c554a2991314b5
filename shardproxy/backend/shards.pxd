# C types of shards.py.
from shardproxy.backend.pool cimport Pool

cdef class ServerPool(Pool):
    cdef readonly object shard
    cdef readonly object role
    cdef readonly object spec
    cdef public bint in_rotation
    cdef public object on_retired
    cdef public object complete
    cdef object _backend
    cdef object _settings

cdef class Shard:
    cdef readonly str name
    cdef readonly object spec
    cdef readonly ServerPool primary
    cdef readonly list replicas
    cdef list _credit

    cpdef ServerPool pool_for(self, object role, bint fallback, object after=*)
    cpdef ServerPool replica(self, object after=*)
