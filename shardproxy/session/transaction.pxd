# C types of transaction.py.

cdef class Transaction:
    cdef public object block
    cdef public list opening
    cdef public list script
    cdef public list characteristics
    cdef public list savepoints
    cdef public object before
    cdef public object committed
    cdef public bint failed

    cpdef start(self, object settings)
    cpdef list take_opening(self)
