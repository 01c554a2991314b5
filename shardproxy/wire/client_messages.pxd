# C types of client_messages.py.
cimport cython

cpdef bytes message(bytes kind, bytes body)
cpdef bytes query(bytes sql)
@cython.locals(view="const unsigned char *", size=Py_ssize_t, end=Py_ssize_t, stop=Py_ssize_t, head=Py_ssize_t)
cpdef bytes rename_statement(bytes body, bytes name)

@cython.locals(view="const unsigned char *", end=Py_ssize_t)
cpdef bytes parse_query(bytes body)
@cython.locals(view="const unsigned char *", end=Py_ssize_t, stop=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t, count=Py_ssize_t)
cpdef tuple parse_parse(bytes body)
@cython.locals(view="const unsigned char *", end=Py_ssize_t, stop=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t, count=Py_ssize_t,
               length=Py_ssize_t, formats=tuple, result_formats=tuple, values=list)
cpdef tuple parse_bind(bytes body)
cpdef tuple parse_describe(bytes body)
cpdef tuple parse_close(bytes body)
@cython.locals(view="const unsigned char *", end=Py_ssize_t, limit=Py_ssize_t)
cpdef tuple parse_execute(bytes body)
cpdef parse_empty(bytes body)

@cython.locals(view="const unsigned char *", end=Py_ssize_t, code=int)
cdef tuple _parse_target(bytes body, str verb)
@cython.locals(view="const unsigned char *")
cdef Py_ssize_t _end(bytes body, Py_ssize_t at) except -2
@cython.locals(view="const unsigned char *")
cdef Py_ssize_t _int16(bytes body, Py_ssize_t at) noexcept
@cython.locals(view="const unsigned char *", value=Py_ssize_t)
cdef Py_ssize_t _int32(bytes body, Py_ssize_t at) noexcept
@cython.locals(count=Py_ssize_t, i=Py_ssize_t)
cdef tuple _formats_at(bytes body, Py_ssize_t at, Py_ssize_t size)
cdef bytes _string(bytes value)
