# C types of pghash.py; its annotations are for mypy only (annotation_typing=False there).
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef uint32_t _MASK
cdef uint32_t _INITIAL
cdef int64_t _INT8_MAX


@cython.locals(high=uint64_t)
cdef uint64_t _final(uint32_t a, uint32_t b, uint32_t c) noexcept

@cython.locals(high=uint32_t)
cdef uint32_t _word(const unsigned char *text, Py_ssize_t at) noexcept

@cython.locals(text="const unsigned char *", length=Py_ssize_t, at=Py_ssize_t, i=Py_ssize_t,
               a=uint32_t, b=uint32_t, c=uint32_t, byte=uint32_t)
cpdef uint64_t hash_bytes_extended(bytes data) except? 0

@cython.locals(low=uint32_t, high=uint32_t, start=uint32_t)
cpdef uint64_t hashint8extended(int64_t value) except? 0
