"""See `h2_stream.pxd` for the contract."""
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tulle._fast.base.buf cimport BUF_SMALL, buf_get, buf_room, buf_unref
from tulle._fast.base.list cimport list_init, list_remove
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.types cimport int32_t, uint8_t, unlikely
from tulle._fast.http.h2_types cimport H2_RESET_IDS, H2S_CLOSED, H2S_COUNTED, H2S_RESET

cdef enum:
    BUCKETS_LEAST = 16


cdef int h2_table_init(H2Connection *c) noexcept nogil:
    c.buckets = <H2Stream **>calloc(BUCKETS_LEAST, sizeof(H2Stream *))
    c.bucket_mask = BUCKETS_LEAST - 1
    c.stream_count = 0
    return 0 if c.buckets != NULL else -1


cdef void h2_table_destroy(H2Connection *c) noexcept nogil:
    cdef uint32_t index
    if c.buckets == NULL:
        return
    for index in range(c.bucket_mask + 1):
        while c.buckets[index] != NULL:
            h2s_free(c, c.buckets[index])
    free(c.buckets)
    c.buckets = NULL


cdef void table_grow(H2Connection *c) noexcept nogil:
    """Without memory it stays as it is: chains get longer."""
    cdef uint32_t mask = c.bucket_mask * 2 + 1
    cdef H2Stream **buckets = <H2Stream **>calloc(mask + 1, sizeof(H2Stream *))
    cdef H2Stream *s
    cdef uint32_t index
    if buckets == NULL:
        return
    for index in range(c.bucket_mask + 1):
        while c.buckets[index] != NULL:
            s = c.buckets[index]
            c.buckets[index] = s.next
            s.next = buckets[(s.id >> 1) & mask]
            buckets[(s.id >> 1) & mask] = s
    free(c.buckets)
    c.buckets = buckets
    c.bucket_mask = mask


cdef H2Stream *h2s_new(H2Connection *c, uint32_t id) noexcept nogil:
    cdef H2Stream *s = <H2Stream *>slab_get(c.streams_slab)
    cdef H2Stream **bucket
    if unlikely(s == NULL):
        return NULL
    if unlikely(c.stream_count > c.bucket_mask):
        table_grow(c)
    memset(s, 0, sizeof(H2Stream))
    list_init(&s.sending)
    list_init(&s.drained)
    s.id = id
    s.send_window = c.peer_window
    s.receive_window = <int32_t>c.limits.window
    s.window_size = c.limits.window
    bucket = &c.buckets[(id >> 1) & c.bucket_mask]
    s.next = bucket[0]
    bucket[0] = s
    c.stream_count += 1
    return s


cdef void h2s_free(H2Connection *c, H2Stream *s) noexcept nogil:
    cdef H2Stream **link = &c.buckets[(s.id >> 1) & c.bucket_mask]
    while link[0] != s:
        link = &link[0].next
    link[0] = s.next
    c.stream_count -= 1
    if c.data_stream == s:
        c.data_stream = NULL
    list_remove(&s.sending)
    list_remove(&s.drained)
    h2_queue_drop(c.bufs, &s.send_first, &s.send_last)
    h2_queue_drop(c.bufs, &s.receive_first, &s.receive_last)
    if s.given != NULL:
        buf_unref(c.bufs, s.given)
    if s.trailers != NULL:
        buf_unref(c.bufs, s.trailers)
    slab_put(c.streams_slab, s)


cdef bint h2_was_reset(const H2Connection *c, uint32_t id) noexcept nogil:
    cdef uint32_t index
    for index in range(<uint32_t>H2_RESET_IDS):
        if c.reset_ids[index] == id:
            return True
    return False


cdef void h2_note_reset(H2Connection *c, uint32_t id) noexcept nogil:
    c.reset_ids[c.reset_index] = id
    c.reset_index = <uint8_t>((c.reset_index + 1) % H2_RESET_IDS)


cdef H2Stream *h2_owned_above(H2Connection *c, uint32_t id) noexcept nogil:
    cdef H2Stream *found = NULL
    cdef H2Stream *s
    cdef uint32_t index
    for index in range(c.bucket_mask + 1):
        s = c.buckets[index]
        while s != NULL:
            if s.owner != NULL and s.id > id and (found == NULL or s.id < found.id):
                found = s
            s = s.next
    return found


cdef void h2s_closing(H2Connection *c, H2Stream *s) noexcept nogil:
    if not s.flags & H2S_COUNTED:
        return
    if s.flags & H2S_RESET or s.flags & H2S_CLOSED == H2S_CLOSED:
        s.flags &= ~<uint32_t>H2S_COUNTED
        if h2_is_peers(c, s.id):
            c.peer_streams -= 1
        else:
            c.own_streams -= 1


cdef bint h2_queue_add(BufPool *bufs, Buf **first, Buf **last, const char *data, size_t length) noexcept nogil:
    cdef Buf *buf
    cdef size_t part
    while length > 0:
        buf = last[0]
        if buf == NULL or buf_room(buf) == 0:
            buf = buf_get(bufs, length > BUF_SMALL)
            if unlikely(buf == NULL):
                return False
            if last[0] == NULL:
                first[0] = buf
            else:
                last[0].next = buf
            last[0] = buf
        part = buf_room(buf)
        if part > length:
            part = length
        memcpy(buf.data + buf.end, data, part)
        buf.end += <uint32_t>part
        data += part
        length -= part
    return True


cdef void h2_queue_drop(BufPool *bufs, Buf **first, Buf **last) noexcept nogil:
    cdef Buf *buf
    while first[0] != NULL:
        buf = first[0]
        first[0] = buf.next
        buf_unref(bufs, buf)
    last[0] = NULL
