"""Byte buffers of two sizes, counted by reference, from the worker's slabs.

Bytes are data[start:end]; room to fill is data[end:capacity]. A buffer is taken when bytes arrive and put back
when the last reference goes, so an idle connection holds none. Only the owner of the input side moves `start` and
`end`; a second reference (an exchange that keeps a message head) pins the bytes where they are.
"""
from tulle._fast.base.slab cimport Slab
from tulle._fast.base.types cimport uint32_t

cdef enum:
    BUF_SMALL = 16384                  # whole object; the capacity is less by the header
    BUF_LARGE = 131072

cdef struct Buf:
    Buf *next
    uint32_t refs
    uint32_t capacity
    uint32_t start
    uint32_t end
    char data[1]                       # `capacity` bytes

cdef struct BufPool:
    Slab small
    Slab large

cdef enum:
    BUF_HEADER = 24

cdef void buf_pool_init(BufPool *pool) noexcept nogil
cdef void buf_pool_destroy(BufPool *pool) noexcept nogil
# NULL when memory or the limit is at its end
cdef Buf *buf_get(BufPool *pool, bint large) noexcept nogil
cdef void buf_free(BufPool *pool, Buf *buf) noexcept nogil

cdef inline Buf *buf_ref(Buf *buf) noexcept nogil:
    buf.refs += 1
    return buf

cdef inline void buf_unref(BufPool *pool, Buf *buf) noexcept nogil:
    buf.refs -= 1
    if buf.refs == 0:
        buf_free(pool, buf)

cdef inline uint32_t buf_length(const Buf *buf) noexcept nogil:
    return buf.end - buf.start

cdef inline uint32_t buf_room(const Buf *buf) noexcept nogil:
    return buf.capacity - buf.end
