"""SipHash-1-3 (Aumasson and Bernstein, 2012): a hash under a secret key, for tables whose keys clients choose.

Without the key nobody can find inputs that meet in one slot, or that pass for another client's.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef struct SipKey:
    uint64_t low
    uint64_t high

cdef struct SipHash:
    uint64_t v0
    uint64_t v1
    uint64_t v2
    uint64_t v3
    uint64_t word                      # bytes that do not fill a word yet
    uint64_t length

cdef void sip_begin(SipHash *self, SipKey key) noexcept nogil
# The hash of a text does not depend on the pieces that it comes in
cdef void sip_feed(SipHash *self, const char *bytes, uint32_t length) noexcept nogil
cdef uint64_t sip_end(SipHash *self) noexcept nogil
