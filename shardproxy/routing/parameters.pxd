# C types of parameters.py.
from shardproxy.topology.keys cimport family_of, from_binary, from_text

cdef class Values:
    cpdef literal(self, Py_ssize_t place)
    cpdef parameter(self, Py_ssize_t number, object family)

cdef class NoValues(Values):
    pass

cdef class LiteralValues(Values):
    cdef readonly tuple texts

cdef class BindValues(Values):
    cdef readonly object formats
    cdef readonly object values
    cdef readonly object oids

    cdef _value(self, Py_ssize_t number)
    cdef Py_ssize_t _oid(self, Py_ssize_t number) except -1
    cdef bint _is_binary(self, Py_ssize_t number) except -1
