# C types of request.py.
cimport cython

from shardproxy.routing.parameters cimport Values
from shardproxy.routing.router cimport route
from shardproxy.session.link cimport Link
from shardproxy.session.state cimport State
from shardproxy.sql.hints cimport leading_settings

cdef class Request:
    cdef readonly State session
    cdef readonly Py_ssize_t count
    cdef readonly bytes text
    cdef readonly Values values
    cdef str _decoded
    cdef object _own
    cdef readonly object settings
    cdef readonly bint explains

    cpdef refresh(self)
    cdef _add_own(self)
    cpdef route(self, object statement, bint primary=*)
    @cython.locals(session=State, link=Link, in_block=bint)
    cdef _find_route(self, object statement, bint primary)
    cdef _check_place(self, object statement)
    cpdef bint isolates(self, object statements) except -1
    cpdef tuple server_text(self, object statements)
