# C types of counters.py.

cdef class Histogram:
    cdef readonly tuple bounds
    cdef public list buckets
    cdef public double total

    cpdef observe(self, double value)

cdef class ShardCounters:
    cdef public long long queries
    cdef public long long transactions
    cdef public long long bytes_in
    cdef public long long bytes_out
    cdef public object errors
    cdef public Histogram latency
