"""See `conn.pxd`. The owner (a protocol side in `flow`) gets its calls through `ConnOps`."""
from libc.string cimport memcpy, memmove

from tulle._fast.base.buf cimport BUF_SMALL, buf_get, buf_length, buf_room, buf_unref
from tulle._fast.base.timer cimport timer_init, timer_remove
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.net.loop cimport WATCH_RUN_READY, watch_init, watch_kill, watch_modify
from tulle._fast.net.system cimport (
    EAGAIN, ECONNRESET, EINTR, ENOMEM, EPIPE, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, MSG_DONTWAIT,
    MSG_NOSIGNAL, MSG_PEEK, SHUT_WR, SOL_SOCKET, SO_ERROR, SO_LINGER, errno, getsockopt, msghdr, recv, send, sendmsg,
    setsockopt, shutdown, socklen_t,
)

cdef extern from *:
    """
    struct tulle_linger { int on; int seconds; };
    """
    cdef struct linger "tulle_linger":
        int on
        int seconds


cdef void conn_event(Watch *watch, uint32_t events) noexcept nogil:
    cdef Conn *conn = <Conn *>watch
    cdef int error
    if events & EPOLLIN:
        conn.state |= CONN_READABLE
    if unlikely(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)):
        conn.state |= CONN_HUNG_UP | CONN_READABLE
        if events & EPOLLERR and conn.state & CONN_EOF:
            conn.state |= CONN_BROKEN          # all has been read, so no read would tell
    if unlikely(conn.state & CONN_CONNECTING):
        if events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
            conn.state &= ~<uint32_t>CONN_CONNECTING
            error = conn_socket_error(conn) if events & (EPOLLERR | EPOLLHUP) else 0
            if error != 0 or not conn.state & CONN_HANDSHAKE:
                conn.ops.connected(conn, error)
        # What came with the connection, and what has waited for it, gets no event of its own
        if watch.dead or conn.state & CONN_CONNECTING:
            return
    if unlikely(conn.output != NULL or conn.state & CONN_WANT_DRAINED) and events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
        conn_flush(conn)
        if conn.output == NULL and not conn.state & CONN_HANDSHAKE:
            conn.state &= ~<uint32_t>CONN_WANT_DRAINED
            conn.ops.drained(conn)
        if watch.dead:
            return
    if unlikely(conn.state & CONN_HANDSHAKE):
        conn.tls.ops.advance(conn)
        if watch.dead or conn.state & CONN_HANDSHAKE:
            return
    if conn.state & (CONN_READABLE | CONN_EOF) or events & WATCH_RUN_READY:
        if not conn.state & CONN_PAUSED:
            conn.ops.input(conn)


cdef void conn_timer(Timer *timer, uint64_t now) noexcept nogil:
    cdef Conn *null = NULL
    cdef Conn *conn = <Conn *>(<char *>timer - <size_t>&null.timer)
    conn.ops.timeout(conn, now)


cdef void conn_bury(Loop *loop, Watch *watch) noexcept nogil:
    cdef Conn *conn = <Conn *>watch
    conn.ops.bury(conn)


cdef void conn_init(Conn *conn, Loop *loop, int fd, const ConnOps *ops, BufPool *bufs) noexcept nogil:
    watch_init(&conn.watch, loop, fd, conn_event, conn_bury)
    timer_init(&conn.timer, conn_timer)
    conn.ops = ops
    conn.bufs = bufs
    conn.input = NULL
    conn.output = NULL
    conn.output_last = NULL
    conn.tls = NULL
    conn.output_bytes = 0
    conn.state = 0
    conn.error = 0


cdef int conn_socket_error(Conn *conn) noexcept nogil:
    cdef int error = 0
    cdef socklen_t length = sizeof(error)
    if getsockopt(conn.watch.fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0:
        return errno
    return error


cdef bint conn_was_reset(Conn *conn) noexcept nogil:
    # A reset that comes behind a FIN is not told by reading: the socket keeps it as its error
    cdef int error = conn.error if conn.state & CONN_BROKEN else conn_socket_error(conn)
    return error == ECONNRESET or error == EPIPE


cdef bint conn_at_end(Conn *conn) noexcept nogil:
    cdef char byte
    if unlikely(conn.tls != NULL):
        return not conn.tls.ops.is_quiet(conn) and conn.state & CONN_EOF != 0
    return recv(conn.watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0


cdef bint conn_is_quiet(Conn *conn) noexcept nogil:
    cdef char byte
    if unlikely(conn.tls != NULL):
        return conn.tls.ops.is_quiet(conn)
    if recv(conn.watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 or errno != EAGAIN:
        return False
    conn.state &= ~<uint32_t>CONN_READABLE
    return True


# -- input ------------------------------------------------------------------------------------------------------------

cdef void conn_release_input(Conn *conn) noexcept nogil:
    """Give the buffer back when nothing unread is in it."""
    if conn.input != NULL and conn.input.start == conn.input.end:
        buf_unref(conn.bufs, conn.input)
        conn.input = NULL


cdef int conn_replace_input(Conn *conn, bint large) noexcept nogil:
    """Move the unread bytes to a buffer of our own."""
    cdef Buf *old = conn.input
    cdef uint32_t length = buf_length(old)
    cdef Buf *fresh = buf_get(conn.bufs, large)
    if fresh == NULL:
        return CONN_NO_MEMORY
    memcpy(fresh.data, old.data + old.start, length)
    fresh.end = length
    conn.input = fresh
    buf_unref(conn.bufs, old)
    return CONN_DONE


cdef int conn_grow(Conn *conn) noexcept nogil:
    if conn.input.capacity >= BUF_SMALL:
        return CONN_FULL
    return conn_replace_input(conn, True)


cdef int conn_make_room(Conn *conn) noexcept nogil:
    cdef Buf *input = conn.input
    if input == NULL:
        conn.input = buf_get(conn.bufs, conn.state & CONN_BULK)
        return CONN_DONE if conn.input != NULL else CONN_NO_MEMORY
    if input.refs == 1 and input.start == input.end:
        input.start = 0
        input.end = 0
    if buf_room(input) > 0:
        return CONN_DONE
    if input.refs > 1:
        if input.start == 0 and input.capacity >= BUF_SMALL:
            return CONN_FULL
        return conn_replace_input(conn, buf_length(input) >= BUF_SMALL // 2)
    if input.start > 0:
        memmove(input.data, input.data + input.start, buf_length(input))
        input.end -= input.start
        input.start = 0
        return CONN_DONE
    return CONN_FULL


cdef int conn_fill(Conn *conn) noexcept nogil:
    """One read. CONN_DATA, CONN_DONE when there is nothing now, CONN_FULL, CONN_END, or an error."""
    cdef int result = conn_make_room(conn)
    cdef Buf *input
    cdef ssize_t got
    cdef uint32_t room
    if unlikely(result != CONN_DONE):
        return result
    if unlikely(conn.tls != NULL):
        return conn.tls.ops.fill(conn)
    input = conn.input
    room = buf_room(input)
    got = recv(conn.watch.fd, input.data + input.end, room, 0)
    if likely(got > 0):
        input.end += <uint32_t>got
        conn.bytes_received[0] += <uint64_t>got
        if got < room:
            if not conn.state & CONN_HUNG_UP:
                conn.state &= ~<uint32_t>CONN_READABLE
            if conn.state & CONN_BULK and got < BUF_SMALL:
                conn.state &= ~<uint32_t>CONN_BULK
        elif room >= BUF_SMALL // 2:
            # A peer that fills what it is given gets large buffers, until it does so no longer
            conn.state |= CONN_BULK
        return CONN_DATA
    if got == 0:
        conn.state |= CONN_EOF
        conn.state &= ~<uint32_t>CONN_READABLE
        conn_release_input(conn)
        return CONN_END
    if errno == EAGAIN or errno == EINTR:
        conn.state &= ~<uint32_t>CONN_READABLE
        conn_release_input(conn)
        return CONN_DONE
    conn.error = errno
    conn.state |= CONN_BROKEN | CONN_EOF
    conn.state &= ~<uint32_t>CONN_READABLE
    conn_release_input(conn)
    return CONN_ERROR


# -- output -----------------------------------------------------------------------------------------------------------

cdef void conn_drop_output(Conn *conn) noexcept nogil:
    cdef Buf *buf
    while conn.output != NULL:
        buf = conn.output
        conn.output = buf.next
        buf_unref(conn.bufs, buf)
    conn.output_last = NULL
    conn.output_bytes = 0


cdef int conn_break(Conn *conn, int error) noexcept nogil:
    """A write failed. Reading goes on: an answer may have come before the reset."""
    conn.error = error
    conn.state |= CONN_BROKEN
    conn_drop_output(conn)
    return CONN_ERROR


cdef int conn_queue(Conn *conn, const char *data, size_t length) noexcept nogil:
    cdef Buf *buf
    cdef size_t part
    while length > 0:
        buf = conn.output_last
        if buf == NULL or buf_room(buf) == 0:
            buf = buf_get(conn.bufs, length > BUF_SMALL)
            if buf == NULL:
                return CONN_NO_MEMORY
            if conn.output_last == NULL:
                conn.output = buf
            else:
                conn.output_last.next = buf
            conn.output_last = buf
        part = buf_room(buf)
        if part > length:
            part = length
        memcpy(buf.data + buf.end, data, part)
        buf.end += <uint32_t>part
        conn.output_bytes += <uint32_t>part
        data += part
        length -= part
    return CONN_BLOCKED


cdef void conn_arm(Conn *conn) noexcept nogil:
    if not conn.state & CONN_OUT_ARMED:
        conn.state |= CONN_OUT_ARMED
        watch_modify(&conn.watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)


cdef void conn_want_drained(Conn *conn) noexcept nogil:
    conn.state |= CONN_WANT_DRAINED
    conn_arm(conn)


cdef int conn_send(Conn *conn, iovec *pieces, uint32_t count) noexcept nogil:
    """CONN_DONE when all is with the kernel, CONN_BLOCKED when some waits in the queue, else an error."""
    if unlikely(conn.tls != NULL):
        return conn.tls.ops.send(conn, pieces, count)
    return conn_write(conn, pieces, count)


cdef int conn_write(Conn *conn, iovec *pieces, uint32_t count) noexcept nogil:
    cdef msghdr message
    cdef const char *rest
    cdef size_t total = 0
    cdef ssize_t sent
    cdef uint32_t index
    if unlikely(conn.state & CONN_BROKEN):
        return CONN_ERROR
    for index in range(count):
        total += pieces[index].iov_len
    if total == 0:
        return CONN_BLOCKED if conn.output != NULL else CONN_DONE
    sent = 0
    if likely(conn.output == NULL and not conn.state & CONN_CONNECTING):
        if count == 1:
            sent = send(conn.watch.fd, pieces[0].iov_base, total, MSG_NOSIGNAL)
        else:
            message.msg_name = NULL
            message.msg_namelen = 0
            message.msg_iov = pieces
            message.msg_iovlen = count
            message.msg_control = NULL
            message.msg_controllen = 0
            message.msg_flags = 0
            sent = sendmsg(conn.watch.fd, &message, MSG_NOSIGNAL)
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                return conn_break(conn, errno)
            sent = 0
        conn.bytes_sent[0] += <uint64_t>sent
        if likely(<size_t>sent == total):
            return CONN_DONE
        conn_arm(conn)
    for index in range(count):
        if <size_t>sent >= pieces[index].iov_len:
            sent -= <ssize_t>pieces[index].iov_len
            continue
        rest = <char *>pieces[index].iov_base + sent
        if conn_queue(conn, rest, pieces[index].iov_len - <size_t>sent) != CONN_BLOCKED:
            return conn_break(conn, ENOMEM)
        sent = 0
    return CONN_BLOCKED


cdef void conn_flush(Conn *conn) noexcept nogil:
    cdef Buf *buf
    cdef ssize_t sent
    while conn.output != NULL:
        buf = conn.output
        sent = send(conn.watch.fd, buf.data + buf.start, buf_length(buf), MSG_NOSIGNAL)
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                conn_break(conn, errno)
            return
        conn.bytes_sent[0] += <uint64_t>sent
        conn.output_bytes -= <uint32_t>sent
        buf.start += <uint32_t>sent
        if buf.start < buf.end:
            return
        conn.output = buf.next
        if conn.output == NULL:
            conn.output_last = NULL
        buf_unref(conn.bufs, buf)
    if conn.state & CONN_SHUT:
        shutdown(conn.watch.fd, SHUT_WR)


cdef void conn_shutdown(Conn *conn) noexcept nogil:
    """Our FIN, after what is queued."""
    if conn.state & CONN_SHUT:
        return
    if unlikely(conn.tls != NULL):
        conn.tls.ops.shutdown(conn)
    conn.state |= CONN_SHUT
    if conn.output == NULL:
        shutdown(conn.watch.fd, SHUT_WR)


cdef void conn_close(Conn *conn, bint reset) noexcept nogil:
    cdef linger option
    if conn.watch.dead:
        return
    if unlikely(conn.tls != NULL):
        conn.tls.ops.close(conn, reset)
        conn.tls = NULL
    if reset:
        option.on = 1
        option.seconds = 0
        setsockopt(conn.watch.fd, SOL_SOCKET, SO_LINGER, &option, sizeof(option))
    timer_remove(&conn.timer)
    conn_drop_output(conn)
    if conn.input != NULL:
        buf_unref(conn.bufs, conn.input)
        conn.input = NULL
    watch_kill(&conn.watch)
