# C types of pool.py.
from shardproxy.backend.connection cimport ServerConnection
from shardproxy.backend.place cimport Place

cdef class Pool:
    cdef public str name
    cdef public object options
    cdef public object counters
    cdef public object traffic
    cdef public list idle
    cdef public set active
    cdef public Py_ssize_t connecting
    cdef public set quarantined
    cdef public object waiters
    cdef public double refused_until
    cdef public object last_failure
    cdef public bint closed
    cdef public object entry
    cdef public object opener
    cdef object _loop
    cdef set _tasks
    cdef object _retry
    cdef object _timer
    cdef double _timer_at
    cdef list _freed
    cdef bint _hands_out

    cpdef ServerConnection try_acquire(self)
    cpdef ServerConnection at_hand(self)
    cpdef Place request(self)
    cdef _refusal(self, double now)
    cpdef forget_place(self, Place place)
    cdef Place _next(self)
    cdef _watch(self, double at)
    cdef _waited(self, Place place)
    cpdef release(self, ServerConnection connection)
    cdef _reason_to_close(self, ServerConnection connection, double now)
    cpdef fail_waiters(self, object error)
    cdef _offer(self, ServerConnection connection, double now)
