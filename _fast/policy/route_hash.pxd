"""How hosts and paths are hashed: writer and matcher must agree.

A path is hashed segment by segment, so that one pass over it yields the hash of each of its prefixes.
"""
from libc.string cimport memchr

from tulle._fast.base.hash cimport hash_bytes, hash_finish
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    HASH_PREFIX = 0x70726566
    HASH_EXACT = 0x65786163

cdef inline uint32_t hash_of_host(const char *host, uint32_t length) noexcept nogil:
    return hash_finish(hash_bytes(0, host, length))

cdef inline uint32_t segment_length(const char *path, uint32_t length) noexcept nogil:
    """Of the first segment: its slash and what follows up to the next one, or to the end."""
    cdef const char *slash = <const char *>memchr(path + 1, c'/', length - 1)
    return length if slash == NULL else <uint32_t>(slash - path)

cdef inline uint32_t hash_as_prefix(uint64_t state) noexcept nogil:
    return hash_finish(state ^ <uint64_t>HASH_PREFIX)

cdef inline uint32_t hash_as_exact(uint64_t state) noexcept nogil:
    return hash_finish(state ^ <uint64_t>HASH_EXACT)

cdef inline uint32_t hash_of_path(const char *path, uint32_t length, bint exact) noexcept nogil:
    cdef uint64_t state = 0
    cdef uint32_t segment
    while length > 0:
        segment = segment_length(path, length)
        state = hash_bytes(state, path, segment)
        path += segment
        length -= segment
    return hash_as_exact(state) if exact else hash_as_prefix(state)
