# C types of connection.py.
from shardproxy.counters cimport ShardCounters
from shardproxy.wire.replies cimport ReplyStream

cdef class ServerConnection:
    cdef public object pid
    cdef public bytes secret
    cdef public dict parameters
    cdef public object settings
    cdef public object defaults
    cdef public ReplyStream stream
    cdef public object sink
    cdef public int status
    cdef public dict prepared
    cdef public Py_ssize_t prepared_limit
    cdef public Py_ssize_t cancels
    cdef public bint retired
    cdef public object epoch
    cdef public set holds
    cdef public bint closed
    cdef public str reason
    cdef public double born
    cdef public double idle_since
    cdef public object on_closed
    cdef public object on_cancels_ended
    cdef public object on_parameter
    cdef public ShardCounters counters
    cdef object _transport
    cdef bint _paused

    cpdef bytes prepare(self, bytes name, bytes text, tuple oids)
    cpdef expire(self, bytes name)
    cdef bytes _deallocate(self, bytes name)
    cpdef send(self, bytes data)
    cpdef pause_reading(self)
    cpdef resume_reading(self)
    cpdef flush(self)
    cdef _mark_closed(self, str reason)
    cdef _deliver(self)
    cdef _settle(self)
    cdef _note_asides(self)
