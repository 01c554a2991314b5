# C types of hints.py.
cimport cython

@cython.locals(end=Py_ssize_t)
cpdef leading_settings(bytes text)
cpdef Py_ssize_t leading_comments_end(bytes text) except -1
cdef Py_ssize_t _comment_end(bytes text, Py_ssize_t start) except -2
