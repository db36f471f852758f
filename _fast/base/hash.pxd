"""The hash of table lookups: eight bytes a step, 64 bits of state, 32 bits out.

It may be continued: the hash of a text in pieces depends on where the pieces are cut, so writer and reader
must cut alike. It is no defence against chosen keys; the tables it serves hold configuration only.
"""
from libc.string cimport memcpy

from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t

cdef inline uint64_t hash_mix(uint64_t state, uint64_t word) noexcept nogil:
    state = (state ^ word) * <uint64_t>0x9E3779B97F4A7C15
    return state ^ (state >> 29)

cdef inline uint64_t hash_bytes(uint64_t state, const char *bytes, uint32_t length) noexcept nogil:
    """The state after these bytes."""
    cdef uint64_t word = 0
    cdef uint32_t low = 0
    cdef uint32_t high = 0
    cdef uint32_t left = length
    while left >= 8:
        memcpy(&word, bytes, 8)
        state = hash_mix(state, word)
        bytes += 8
        left -= 8
    if left >= 4:
        memcpy(&low, bytes, 4)
        memcpy(&high, bytes + left - 4, 4)
    elif left > 0:
        low = <uint32_t><uint8_t>bytes[0]
        high = <uint32_t><uint8_t>bytes[left >> 1] << 8 | <uint8_t>bytes[left - 1]
    # the length keeps texts apart that differ only in zero bytes at the end
    return hash_mix(state + length, <uint64_t>high << 32 | low)

cdef inline uint32_t hash_finish(uint64_t state) noexcept nogil:
    return <uint32_t>((state * <uint64_t>0xD6E8FEB86659FD93) >> 32)
