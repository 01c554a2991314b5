# C types of link.py.
cimport cython

from shardproxy.backend.connection cimport ServerConnection
from shardproxy.backend.pool cimport Pool
from shardproxy.backend.shards cimport Shard
from shardproxy.session.state cimport State
from shardproxy.session.transaction cimport Transaction
from shardproxy.wire.client_messages cimport query

cdef class Link:
    cdef readonly State session
    cdef public ServerConnection connection
    cdef public Pool pool
    cdef public Py_ssize_t shard
    cdef public bint anywhere
    cdef public str pinned
    cdef readonly set temporary
    cdef public bint in_group
    cdef public bint relaying
    cdef public bint copying
    cdef public object waiting
    cdef public object copy_begins
    cdef public double started
    cdef public object own_writes
    cdef public bint reading

    @cython.locals(session=State)
    cpdef ServerConnection take_now(self, object route)
    @cython.locals(session=State, servers=Shard, pool=Pool, connection=ServerConnection, shard=Py_ssize_t)
    cdef ServerConnection _take_idle(self, object route)
    cdef bint _is_still_here(self, ServerConnection connection, object route) except -1
    cdef Py_ssize_t _first_of(self, object route) except -1
    cdef _hold(self, ServerConnection connection, Pool pool, Py_ssize_t shard)
    @cython.locals(transaction=Transaction)
    cdef bint _opens_apart(self) except -1
    @cython.locals(connection=ServerConnection)
    cpdef send_query(self, bytes text, list opening, int flags=*, bint rewritten=*, object closing=*)
    cpdef begin_request(self, ServerConnection connection)
    cpdef begin_relay(self)
    @cython.locals(connection=ServerConnection, pool=Pool)
    cpdef give_back(self)
    cdef _note_write(self)
    cdef _detach(self)
    cdef _copy_has_begun(self)
    cpdef reply(self, ServerConnection connection, bytes data)
    cpdef ready(self, ServerConnection connection, int status)
