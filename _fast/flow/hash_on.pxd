"""The hash of a request for ring hash and Maglev: what `hash_on` of its cluster finds in it. The same in all workers
and all sidecars: it has no secret.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Exchange

# The same for every try; random when nothing yields a value
cdef uint64_t exchange_hash(Exchange *x) noexcept nogil
# Set-Cookie for a cookie that was made for the hash
cdef void hash_cookie_field(Exchange *x, uint32_t *count) noexcept nogil
