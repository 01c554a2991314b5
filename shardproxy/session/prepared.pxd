# C types of prepared.py.
from shardproxy.backend.connection cimport ServerConnection
from shardproxy.routing.parameters cimport Values

cdef class Prepared:
    cdef readonly bytes text
    cdef readonly bytes owner
    cdef public bint is_new
    cdef readonly tuple oids
    cdef readonly str folded
    cdef readonly object statement
    cdef readonly object planner
    cdef readonly tuple search_path
    cdef readonly bytes name
    cdef public object description
    cdef public bytes told
    cdef object _own

    cpdef own_settings(self)
    cpdef take(self, object statement, object planner, tuple search_path)
    cpdef under(self, str folded)
    cpdef bint needs_types(self) except -1
    cpdef bint takes(self, Py_ssize_t count) except -1
    cpdef parameter_count(self)
    cpdef bytes name_of(self, bytes text, str folded=*)
    cpdef bytes prepare(self, ServerConnection connection, bytes name, bytes text)
    cpdef renew(self, ServerConnection connection, bytes name)
    cpdef tuple value_oids(self)

cdef class Portal:
    cdef readonly Prepared prepared
    cdef readonly Values values
    cdef readonly tuple result_formats
    cdef public bint local
    cdef public object request
    cdef public object fan_out
    cdef public bint executed
    cdef public bint rewritten
    cdef public bytes told
    cdef public bytes name
    cdef public bytes text
    cdef public bytes bind
