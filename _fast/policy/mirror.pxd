"""Mirroring: where copies of a route's requests go, and how many of them. Pure: the random word is passed in."""
from tulle._fast.base.random cimport random_scale
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport BackendEntry

cdef enum:
    MIRROR_SHARES = 1000000

cdef struct MirrorEntry:
    BackendEntry goal
    uint32_t share                     # of a million
    uint32_t suffix                    # 1: the host that the copy names ends in "-shadow"

cdef inline bint mirror_hits(const MirrorEntry *entry, uint64_t draw) noexcept nogil:
    return random_scale(draw, MIRROR_SHARES) < entry.share
