cimport cython

cdef class FrameReader:
    cdef readonly Py_ssize_t limit
    cdef list _parts
    cdef Py_ssize_t _have
    cdef Py_ssize_t _need

    @cython.locals(view="const unsigned char*", size=Py_ssize_t, limit=Py_ssize_t, at=Py_ssize_t, length=Py_ssize_t)
    cdef list _split(self, bytes data)
    cpdef list feed(self, bytes data)
