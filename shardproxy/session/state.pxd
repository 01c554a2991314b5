# C types of state.py.
from shardproxy.session.transaction cimport Transaction

cdef class State:
    cdef readonly object shared
    cdef readonly object client
    cdef readonly object loop
    cdef readonly object initial
    cdef public object reported
    cdef public object settings
    cdef readonly Transaction transaction
    cdef public object link
    cdef public list effects
    cdef public bint names_move
    cdef public bint constants_move
    cdef public bint ending
    cdef public bint slow
    cdef object _lost
    cdef bint _cancelled
    cdef tuple _path
    cdef object _path_settings
    cdef object _path_default
    cdef object _path_planner

    cpdef settings_at_rest(self)
    cpdef tuple search_path(self)
    cpdef pin(self, object statement)
    cpdef check_allowed(self, object statement)
    cpdef check_known(self, object statement)
    cpdef raise_loss(self)
