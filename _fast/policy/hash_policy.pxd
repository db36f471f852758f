"""What of a request ring hash and Maglev go by, and cookies that we make. Envoy's order and way of putting together.

Each item that yields a value takes part in the hash; one that is `terminal` and yields one ends the list. When nothing
yields a value the hash is a random one.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport Text

cdef enum HashKind:
    HASH_HEADER = 0
    HASH_COOKIE
    HASH_SOURCE_ADDRESS
    HASH_QUERY

cdef struct HashItem:
    uint32_t kind                      # HashKind
    uint32_t terminal
    Text name                          # of a header in lower case, a cookie, a query parameter
    Text attributes                    # of a cookie: what follows name and value in Set-Cookie
    uint32_t made                      # a cookie is made when it is absent
    uint32_t reserved

cdef inline uint64_t hash_combine(uint64_t hash, uint64_t value) noexcept nogil:
    return (hash << 1 | hash >> 63) ^ value
