# C types of extended.py.
cimport cython

from shardproxy.backend.connection cimport ServerConnection
from shardproxy.session.describe cimport Describer
from shardproxy.session.effects cimport expect
from shardproxy.session.link cimport Link
from shardproxy.session.prepared cimport Portal, Prepared
from shardproxy.session.request cimport Request
from shardproxy.session.state cimport State
from shardproxy.session.transaction cimport Transaction
from shardproxy.routing.parameters cimport BindValues
from shardproxy.sql.planner cimport Planner
from shardproxy.wire.client_messages cimport (
    message,
    parse_bind,
    parse_close,
    parse_describe,
    parse_empty,
    parse_execute,
    parse_parse,
    rename_statement,
)

cdef int PARSE_MESSAGE, BIND_MESSAGE, DESCRIBE_MESSAGE, EXECUTE_MESSAGE, CLOSE_MESSAGE, SYNC_KIND

cdef class Extended:
    cdef readonly State session
    cdef readonly Link link
    cdef public dict statements
    cdef public dict portals
    cdef public bint skipping
    cdef public list out
    cdef bint _sync_sent
    cdef bint _fresh
    cdef bytes _owner
    cdef readonly Describer describer
    cdef readonly object guard
    cdef public object group

    @cython.locals(transaction=Transaction)
    cpdef run(self, object messages, bint again=*)
    @cython.locals(i=Py_ssize_t, kind=int, body=bytes, bound_next=bint)
    cdef _run(self, object messages, Py_ssize_t at)
    cdef _message(self, int kind, bytes body, bint bound_next)
    cpdef emit(self, bytes reply)
    @cython.locals(connection=ServerConnection)
    cpdef send(self)
    @cython.locals(name=bytes, text=bytes, oids=tuple, prepared=Prepared)
    cdef _parse(self, bytes body, bint bound_next)
    cdef _keep(self, bytes name, Prepared prepared)
    @cython.locals(session=State, search_path=tuple, planner=Planner)
    cdef _plan(self, Prepared prepared)
    cdef _check_names(self, object statement)
    @cython.locals(bind=tuple, prepared=Prepared)
    cdef _bind(self, bytes body)
    @cython.locals(name=bytes, portal=Portal, request=Request)
    cdef _bind_known(self, tuple bind, Prepared prepared, bytes body)
    cdef _bound(self, bytes name, Portal portal)
    cdef bint _is_local(self, object statement) except -1
    @cython.locals(prepared=Prepared, connection=ServerConnection)
    cdef _bind_away(self, bytes name, Portal portal, Request request, bytes body)
    cdef _bind_on_several(self, bytes name, Portal portal, object route, bytes body)
    cdef bint _is_as_told(self, ServerConnection connection, Portal portal) except -1
    cdef bint _may_guard(self, object statement) except -1
    @cython.locals(prepared=Prepared, guarded=bint)
    cdef _bind_on(self, ServerConnection connection, bytes name, Portal portal, bytes body)
    @cython.locals(prepared=Prepared)
    cdef _prepare_guarded(self, ServerConnection connection, Portal portal)
    cpdef enter_group(self, ServerConnection connection)
    cdef _open_block(self, ServerConnection connection)
    cdef Prepared _statement(self, bytes name)
    @cython.locals(name=bytes, portal=Portal, prepared=Prepared, connection=ServerConnection)
    cdef _describe(self, bytes body)
    @cython.locals(session=State, name=bytes, portal=Portal, prepared=Prepared, connection=ServerConnection)
    cdef _execute(self, bytes body)
    @cython.locals(name=bytes, portal=Portal, connection=ServerConnection)
    cdef _close(self, bytes body)
    cdef _flush(self, bytes body)
    cdef Portal _portal(self, bytes name)
    cdef ServerConnection _held(self, bytes name)
    @cython.locals(link=Link)
    cdef bint _sync(self) except -1
    cpdef forget_unnamed(self)
