"""Fixed-size objects from large mapped chunks, free ones on a LIFO list (the next is the hottest in cache).

A `Slab` belongs to one worker and is never shared. Memory of a chunk goes back to the system only in
`slab_trim`, when all the objects of the slab are free.
"""
from tulle._fast.base.types cimport uint32_t

cdef struct SlabChunk:
    SlabChunk *next
    size_t size

cdef struct SlabFree:
    SlabFree *next

cdef struct Slab:
    SlabFree *free
    SlabChunk *chunks
    char *fresh          # never used yet, in the newest chunk
    char *fresh_end
    size_t object_size   # bytes, a multiple of 16
    size_t chunk_size    # bytes mapped at a time
    uint32_t used        # objects handed out
    uint32_t limit       # never more than this many, 0: no limit

cdef void slab_init(Slab *slab, size_t object_size, size_t chunk_size, uint32_t limit) noexcept nogil
cdef void slab_destroy(Slab *slab) noexcept nogil
cdef void *slab_get_fresh(Slab *slab) noexcept nogil
cdef void slab_trim(Slab *slab) noexcept nogil

cdef inline void *slab_get(Slab *slab) noexcept nogil:
    """An object with undefined contents, or NULL when the limit or the memory is at its end."""
    cdef SlabFree *object = slab.free
    if object == NULL:
        return slab_get_fresh(slab)
    slab.free = object.next
    slab.used += 1
    return object

cdef inline void slab_put(Slab *slab, void *object) noexcept nogil:
    (<SlabFree *>object).next = slab.free
    slab.free = <SlabFree *>object
    slab.used -= 1
