# C types of replies.py.
cimport cython

cdef class Prepare:
    cdef readonly bytes name

cdef class Deallocate:
    cdef readonly bytes name

cdef class Learn:
    cdef readonly bytes name
    cdef readonly object wake
    cdef readonly bytes told
    cdef public bytes parameters
    cdef public bytes row

cdef class FailWith:
    cdef readonly bytes reply

cdef class ReplyStream:
    cdef readonly object owed
    cdef public list out
    cdef public int ready
    cdef public bytes error
    cdef public list failed
    cdef public list learned
    cdef readonly bint skipping
    cdef public Py_ssize_t prefix
    cdef public Py_ssize_t completed
    cdef public Py_ssize_t tags
    cdef public list asides
    cdef public bint copy_in
    cdef public bytes description
    cdef public bytes tag
    cdef public bytes stale
    cdef bytes _pending
    cdef Py_ssize_t _wanted
    cdef Py_ssize_t _skip
    cdef bint _skip_drops
    cdef bytes _substitute

    cpdef promise(self, object item)

    @cython.locals(shift=Py_ssize_t)
    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t start=*) except -1

    @cython.locals(view="const unsigned char *", size=Py_ssize_t, at=Py_ssize_t, run=Py_ssize_t, step=Py_ssize_t,
                   kind=int, length=Py_ssize_t, end=Py_ssize_t, drops=bint)
    cdef Py_ssize_t _scan(self, bytes data, Py_ssize_t start) except -1
    cdef int _hold(self, bytes data, Py_ssize_t run, Py_ssize_t at, Py_ssize_t wanted) except -1
    cdef int _flush(self, bytes data, Py_ssize_t run, Py_ssize_t end) except -1
    cdef int _answer(self) except -1
    @cython.locals(code=int)
    cdef bint _passes_row(self) except -1
    cdef bint _pay(self, int kind, bytes data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t run) except -1
    cdef bint _match(self, int kind, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    @cython.locals(code=int)
    cdef bint _match_code(self, int kind, int head, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef int _expect_description(self, int kind) except -1
    cdef int _learn(self, Learn head, int kind, bytes message) except -1
    cdef int _hush(self) except -1
    cdef bint _fail(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef int _skip_to_sync(self) except -1
