# C types of planner.py.
cimport cython

from shardproxy.sql.hints cimport leading_comments_end
from shardproxy.sql.lexer cimport Folded, fold

cdef class Planner:
    cdef readonly object schema
    cdef readonly object rules
    cdef readonly Py_ssize_t max_cached_text
    cdef public Py_ssize_t hits
    cdef public Py_ssize_t misses
    cdef readonly object checking_type
    cdef object _analyze
    cdef object _cache

    @cython.locals(folded=Folded)
    cpdef simple(self, bytes text, tuple search_path)
    @cython.locals(comments=Py_ssize_t)
    cpdef extended(self, bytes text, tuple search_path)
