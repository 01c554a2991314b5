# C types of connection.py.
from shardproxy.session.session cimport Session

cdef class ClientConnection:
    cdef dict __dict__  # what only the login looks at needs no line here
    cdef public object gate
    cdef public Session session
    cdef object _transport
    cdef object _phase
    cdef bytes _buffer
    cdef list _held
    cdef int _negotiations
    cdef object _reader
    cdef object _script
    cdef object _startup_message
    cdef object _key
    cdef object _timer
    cdef object _opening
    cdef bint _reading
    cdef bint _closing

    cpdef write(self, bytes data)
    cpdef hold(self, bytes data)
    cpdef flush(self)
    cpdef pause_reading(self)
    cpdef resume_reading(self)
