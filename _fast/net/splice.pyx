"""See `splice.pxd`."""
from libc.stdlib cimport free, malloc

from tulle._fast.base.types cimport unlikely
from tulle._fast.net.conn cimport (
    CONN_BROKEN, CONN_EOF, CONN_HUNG_UP, CONN_READABLE, conn_want_drained,
)
from tulle._fast.net.system cimport EAGAIN, EINTR, close, errno

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <fcntl.h>
    #include <unistd.h>
    #define tulle_splice(from, to, length) splice(from, NULL, to, NULL, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
    """
    ssize_t splice "tulle_splice"(int source, int sink, size_t length) noexcept nogil
    int pipe2(int *fds, int flags) noexcept nogil
    int fcntl(int fd, int command, int argument) noexcept nogil
    int F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK

cdef enum:
    PIPE_BYTES = 1 << 20
    TURN_BYTES = 4 << 20               # moved for one connection before others have their turn


cdef Splice *splice_get(SplicePool *pool) noexcept nogil:
    cdef Splice *pipe = pool.free
    cdef int fds[2]
    if pipe != NULL:
        pool.free = pipe.next
        pool.kept -= 1
        return pipe
    pipe = <Splice *>malloc(sizeof(Splice))
    if pipe == NULL:
        return NULL
    if pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0:
        free(pipe)
        return NULL
    # Smaller where the user's quota of pipe pages is used up: then a move takes more calls
    fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES)
    pipe.next = NULL
    pipe.read_fd = fds[0]
    pipe.write_fd = fds[1]
    pipe.held = 0
    return pipe


cdef void pipe_free(Splice *pipe) noexcept nogil:
    close(pipe.read_fd)
    close(pipe.write_fd)
    free(pipe)


cdef void splice_put(SplicePool *pool, Splice *pipe) noexcept nogil:
    if pipe.held > 0 or pool.kept >= PIPES_KEPT:
        pipe_free(pipe)
        return
    pipe.next = pool.free
    pool.free = pipe
    pool.kept += 1


cdef void splice_pool_destroy(SplicePool *pool) noexcept nogil:
    cdef Splice *pipe
    while pool.free != NULL:
        pipe = pool.free
        pool.free = pipe.next
        pipe_free(pipe)
    pool.kept = 0


cdef int pipe_drain(Splice *pipe, Conn *sink, uint64_t *moved) noexcept nogil:
    cdef ssize_t sent
    while pipe.held > 0:
        sent = splice(pipe.read_fd, sink.watch.fd, pipe.held)
        if sent <= 0:
            if sent < 0 and errno == EINTR:
                continue
            if sent < 0 and errno == EAGAIN:
                conn_want_drained(sink)
                return SPLICE_BLOCKED
            sink.error = errno
            sink.state |= CONN_BROKEN
            return SPLICE_SINK_ERROR
        pipe.held -= <uint32_t>sent
        moved[0] += <uint64_t>sent
        sink.bytes_sent[0] += <uint64_t>sent
    return SPLICE_END


cdef int splice_move(Splice *pipe, Conn *source, Conn *sink, uint64_t *remaining, uint64_t *moved) noexcept nogil:
    cdef uint64_t budget = TURN_BYTES
    cdef ssize_t got
    cdef size_t wanted
    cdef int result
    while True:
        result = pipe_drain(pipe, sink, moved)
        if result != SPLICE_END:
            return result
        if remaining[0] == 0:
            return SPLICE_END
        if budget == 0:
            return SPLICE_AGAIN
        if not source.state & (CONN_READABLE | CONN_HUNG_UP):
            return SPLICE_IDLE
        wanted = PIPE_BYTES if remaining[0] > PIPE_BYTES else <size_t>remaining[0]
        got = splice(source.watch.fd, pipe.write_fd, wanted)
        if got > 0:
            pipe.held = <uint32_t>got
            remaining[0] -= <uint64_t>got
            source.bytes_received[0] += <uint64_t>got
            budget -= <uint64_t>got if <uint64_t>got < budget else budget
            continue
        if got < 0 and errno == EINTR:
            continue
        source.state &= ~<uint32_t>CONN_READABLE
        if got < 0 and errno == EAGAIN and not source.state & CONN_EOF:
            return SPLICE_IDLE
        source.state |= CONN_EOF
        if unlikely(got < 0):
            source.error = errno
            source.state |= CONN_BROKEN
        return SPLICE_SOURCE_ENDED
