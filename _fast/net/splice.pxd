"""Bytes from one socket to another through a pipe, without copying them into user space.

Both ends have to be plain. A pipe is taken for the length of one body and goes back when it is empty; one that is not
is closed with what it holds. Read until the kernel has nothing left: a short splice does not say that it has not.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.net.conn cimport Conn

cdef enum:
    SPLICE_MIN = 65536                 # fewer bytes are not worth a pipe
    PIPES_KEPT = 8

cdef enum SpliceResult:
    SPLICE_END = 0                     # all of the body has been moved
    SPLICE_IDLE = 1                    # nothing to read now
    SPLICE_BLOCKED = 2                 # the receiver takes no more: `drained` follows
    SPLICE_AGAIN = 3                   # the turn's budget is used up
    SPLICE_SOURCE_ENDED = -1           # end or error of the sender before the body's end
    SPLICE_SINK_ERROR = -2

cdef struct Splice:
    Splice *next
    int read_fd
    int write_fd
    uint32_t held                      # bytes in the pipe

cdef struct SplicePool:
    Splice *free
    uint32_t kept

# NULL when there are no descriptors or memory for one
cdef Splice *splice_get(SplicePool *pool) noexcept nogil
cdef void splice_put(SplicePool *pool, Splice *pipe) noexcept nogil
cdef void splice_pool_destroy(SplicePool *pool) noexcept nogil
# `remaining` counts down what is still to be read from `source`, `moved` up what has reached `sink`
cdef int splice_move(Splice *pipe, Conn *source, Conn *sink, uint64_t *remaining, uint64_t *moved) noexcept nogil
