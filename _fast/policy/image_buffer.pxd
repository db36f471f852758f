"""The growing block that image writers fill: aligned room, texts written once, hash tables of offsets.

Everything is named by its offset, since the block moves when it grows: keep no pointer into it over a call.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport Text

cdef class ImageBuffer:
    cdef bytearray block
    cdef char *data                    # of `block`
    cdef size_t size                   # bytes in use
    cdef size_t capacity
    cdef dict texts                    # what is written already: str to offset, see `text`

    # zeroed room for `count` objects of `size` bytes, aligned to 8; MemoryError beyond 4 GiB
    cdef uint32_t reserve(self, size_t size, size_t count=*) except? 0
    cdef Text text(self, str value) except *
    cdef uint32_t raw(self, const char *bytes, size_t length) except? 0
    # `table` is HostSlot[] or PathSlot[], which are alike
    cdef void put_slot(self, uint32_t table, uint32_t mask, uint32_t hash, uint32_t entry) noexcept nogil
    cdef bytearray finish(self)

# What tells a set of hosts from the others of its cluster: of the pairs (key, value) that its metadata has; never 0
cdef uint64_t subset_key(tuple pairs) except 0

cdef inline uint32_t slot_mask(size_t count) noexcept nogil:
    """The mask of a table that is at most half full."""
    cdef uint32_t size = 2
    while size < 2 * count:
        size *= 2
    return size - 1
