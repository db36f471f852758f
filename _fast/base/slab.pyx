"""See `slab.pxd` for the contract."""
from tulle._fast.base.types cimport BUG_ON

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    void *MAP_FAILED


cdef void slab_init(Slab *slab, size_t object_size, size_t chunk_size, uint32_t limit) noexcept nogil:
    slab.free = NULL
    slab.chunks = NULL
    slab.fresh = NULL
    slab.fresh_end = NULL
    slab.object_size = (object_size + 15) & ~<size_t>15
    slab.chunk_size = (chunk_size + 4095) & ~<size_t>4095
    slab.used = 0
    slab.limit = limit
    BUG_ON(slab.object_size + 64 > slab.chunk_size)


cdef void slab_destroy(Slab *slab) noexcept nogil:
    cdef SlabChunk *chunk = slab.chunks
    cdef SlabChunk *following
    while chunk != NULL:
        following = chunk.next
        munmap(chunk, chunk.size)
        chunk = following
    slab.chunks = NULL
    slab.free = NULL
    slab.fresh = NULL
    slab.fresh_end = NULL
    slab.used = 0


cdef void *slab_get_fresh(Slab *slab) noexcept nogil:
    """The cold half of `slab_get`: nothing on the free list."""
    cdef SlabChunk *chunk
    cdef void *object
    if slab.limit != 0 and slab.used >= slab.limit:
        return NULL
    if slab.fresh == NULL or slab.fresh + slab.object_size > slab.fresh_end:
        chunk = <SlabChunk *>mmap(
            NULL, slab.chunk_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
        )
        if chunk == MAP_FAILED:
            return NULL
        chunk.next = slab.chunks
        chunk.size = slab.chunk_size
        slab.chunks = chunk
        slab.fresh = <char *>chunk + 64
        slab.fresh_end = <char *>chunk + slab.chunk_size
    object = slab.fresh
    slab.fresh += slab.object_size
    slab.used += 1
    return object


cdef void slab_trim(Slab *slab) noexcept nogil:
    """Give everything back once nothing is in use."""
    if slab.used == 0 and slab.chunks != NULL:
        slab_destroy(slab)
