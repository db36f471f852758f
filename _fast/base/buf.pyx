"""See `buf.pxd`."""
from tulle._fast.base.slab cimport slab_destroy, slab_get, slab_init, slab_put

cdef enum:
    SMALL_CHUNK = 64 * BUF_SMALL + 4096
    LARGE_CHUNK = 8 * BUF_LARGE + 4096


cdef void buf_pool_init(BufPool *pool) noexcept nogil:
    slab_init(&pool.small, BUF_SMALL, SMALL_CHUNK, 0)
    slab_init(&pool.large, BUF_LARGE, LARGE_CHUNK, 0)


cdef void buf_pool_destroy(BufPool *pool) noexcept nogil:
    slab_destroy(&pool.small)
    slab_destroy(&pool.large)


cdef Buf *buf_get(BufPool *pool, bint large) noexcept nogil:
    cdef Buf *buf = <Buf *>slab_get(&pool.large if large else &pool.small)
    if buf == NULL:
        return NULL
    buf.next = NULL
    buf.refs = 1
    buf.capacity = (BUF_LARGE if large else BUF_SMALL) - BUF_HEADER
    buf.start = 0
    buf.end = 0
    return buf


cdef void buf_free(BufPool *pool, Buf *buf) noexcept nogil:
    slab_put(&pool.small if buf.capacity < BUF_SMALL else &pool.large, buf)
