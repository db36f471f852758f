"""See `replay.pxd`."""
from libc.string cimport memcpy

from tulle._fast.base.buf cimport Buf, buf_get, buf_length, buf_room, buf_unref
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport X_REPLAY_LOST


cdef void replay_drop(Exchange *x) noexcept nogil:
    cdef Buf *buf
    while x.replay != NULL:
        buf = x.replay
        x.replay = buf.next
        buf_unref(&x.worker.bufs, buf)
    x.replay_last = NULL
    x.replay_bytes = 0


cdef void replay_keep(Exchange *x, const char *data, size_t length) noexcept nogil:
    cdef Buf *buf
    cdef size_t part
    if length == 0 or x.flags & X_REPLAY_LOST:
        return
    if x.route == NULL or x.replay_bytes + length > x.route.replay_bytes:
        x.flags |= X_REPLAY_LOST
        replay_drop(x)
        return
    x.replay_bytes += <uint32_t>length
    while length > 0:
        buf = x.replay_last
        if buf == NULL or buf_room(buf) == 0:
            buf = buf_get(&x.worker.bufs, False)
            if buf == NULL:
                x.flags |= X_REPLAY_LOST
                replay_drop(x)
                return
            if x.replay_last == NULL:
                x.replay = buf
            else:
                x.replay_last.next = buf
            x.replay_last = buf
        part = buf_room(buf)
        if part > length:
            part = length
        memcpy(buf.data + buf.end, data, part)
        buf.end += <uint32_t>part
        data += part
        length -= part


cdef void replay_begin(Attempt *attempt) noexcept nogil:
    attempt.replay_next = attempt.exchange.replay
    attempt.replaying = attempt.replay_next != NULL


cdef bint replay_next(Attempt *attempt, const char **data, size_t *length) noexcept nogil:
    cdef Buf *buf = attempt.replay_next
    if buf == NULL:
        return False
    data[0] = buf.data + buf.start
    length[0] = buf_length(buf)
    attempt.replay_next = buf.next
    return True
