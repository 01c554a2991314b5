# C types of place.py.
from shardproxy.backend.connection cimport ServerConnection

cdef class Place:
    cdef readonly object pool
    cdef readonly double since
    cdef readonly ServerConnection connection
    cdef readonly object error
    cdef public object wake

    cpdef bint done(self) except -1
    cpdef end(self, ServerConnection connection, object error)
    cpdef leave(self)
    cpdef ServerConnection result(self)
