# C types of simple.py.
cimport cython

from shardproxy.routing.parameters cimport LiteralValues
from shardproxy.session.effects cimport expect
from shardproxy.session.link cimport Link
from shardproxy.session.request cimport Request
from shardproxy.session.state cimport State
from shardproxy.sql.planner cimport Planner
from shardproxy.wire.client_messages cimport parse_query

cdef class Simple:
    cdef readonly State session
    cdef readonly Link link
    cdef public object fan_out

    @cython.locals(session=State, planner=Planner)
    cpdef run(self, bytes body)
    @cython.locals(session=State)
    cdef _one(self, Request request, object statement, int flags=*)
    cdef _answer(self, Request request, object statement)
    cdef bint _send_now(self, Request request, tuple statements, object route, int flags) except -1
    @cython.locals(session=State)
    cdef _send_on(self, Request request, tuple statements, bytes text, bint rewritten, int flags)
