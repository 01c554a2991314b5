# C types of session.py.
cimport cython

from shardproxy.backend.connection cimport ServerConnection
from shardproxy.session.extended cimport Extended
from shardproxy.session.link cimport Link
from shardproxy.session.simple cimport Simple
from shardproxy.session.state cimport State
from shardproxy.wire.replies cimport ReplyStream

cdef int QUERY, SYNC, FLUSH, FUNCTION_CALL, TERMINATE, COPY_DATA

cdef class Session(State):
    cdef public str user
    cdef readonly Simple simple
    cdef readonly Extended extended
    cdef public object inbox
    cdef public Py_ssize_t inbox_bytes
    cdef public bint busy
    cdef public bint closed
    cdef public object on_closed
    cdef public object on_idle
    cdef object _underway
    cdef object _relay_end
    cdef public object learning

    cpdef receive(self, list messages)
    cdef _enqueue(self, list messages)
    cpdef pump(self)
    cdef _told_idle(self)
    @cython.locals(kind=int, body=bytes, link=Link)
    cdef _begin(self, list request)
    @cython.locals(connection=ServerConnection)
    cdef bint _skips(self) except -1
    cdef tuple _pop(self)
    @cython.locals(size=Py_ssize_t, count=Py_ssize_t, kind=int, body=bytes)
    cdef list _take_request(self)
    cdef _work(self, int kind, object request)
    cdef _handle(self, int kind, object request)
    @cython.locals(link=Link, connection=ServerConnection, stream=ReplyStream)
    cpdef relayed(self, int status)
    @cython.locals(link=Link, connection=ServerConnection)
    cdef _settle(self, int status, bint failed)

cdef bint is_extended(int kind) noexcept
@cython.locals(last=Py_ssize_t, i=Py_ssize_t, kind=int)
cdef bint is_one_request(list messages) except -1
