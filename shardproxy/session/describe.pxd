# C types of describe.py.
from shardproxy.session.prepared cimport Prepared
from shardproxy.session.state cimport State

cdef class Describer:
    cdef readonly State session
    cdef readonly object extended

    cpdef known(self, Prepared prepared)
    cdef _remembered(self, Prepared prepared)
    cpdef tuple key(self, Prepared prepared, bytes text)
    cpdef own(self, Prepared prepared)
