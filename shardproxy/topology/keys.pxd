# C types of keys.py.
from shardproxy.topology.pghash cimport hash_bytes_extended, hashint8extended

cpdef family_of(object type_oid)
cpdef int bucket(object family, object key) except -1
cpdef from_text(object family, object text)
cpdef from_binary(object type_oid, object family, object data)
cdef bytes _text_key(object data)
cdef _integer_key(str text)
cdef bytes _uuid_key(str text)
