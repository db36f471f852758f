"""Streams (RFC 9113 section 5): the table that finds them by id, and the bytes that they hold in each direction.

A stream is found by its id in constant time; the table grows with their number, which the settings bound. Ids that
are not in the table are idle (above the highest that was opened) or closed; of those that we have reset ourselves the
last few are remembered, for their frames may still be on the way (section 5.1, "closed").
"""
from tulle._fast.base.buf cimport Buf, BufPool
from tulle._fast.base.types cimport uint32_t
from tulle._fast.base.list cimport list_append, list_empty
from tulle._fast.http.h2_types cimport H2S_END_WAITS, H2Connection, H2Stream

cdef int h2_table_init(H2Connection *c) noexcept nogil
# All streams, and the table; their owners have let go
cdef void h2_table_destroy(H2Connection *c) noexcept nogil
cdef H2Stream *h2s_new(H2Connection *c, uint32_t id) noexcept nogil
# Out of the table, with all that it holds
cdef void h2s_free(H2Connection *c, H2Stream *s) noexcept nogil
cdef bint h2_was_reset(const H2Connection *c, uint32_t id) noexcept nogil
cdef void h2_note_reset(H2Connection *c, uint32_t id) noexcept nogil
# Any stream with an owner whose id is above; NULL when there is none. For going through all of them while they go
cdef H2Stream *h2_owned_above(H2Connection *c, uint32_t id) noexcept nogil

# One side of it is done: closed streams take no place among those that may be open (section 5.1.2)
cdef void h2s_closing(H2Connection *c, H2Stream *s) noexcept nogil

# Bytes at the end of a queue of buffers; False without memory
cdef bint h2_queue_add(BufPool *bufs, Buf **first, Buf **last, const char *data, size_t length) noexcept nogil
cdef void h2_queue_drop(BufPool *bufs, Buf **first, Buf **last) noexcept nogil

cdef inline H2Stream *h2s_find(const H2Connection *c, uint32_t id) noexcept nogil:
    """NULL: idle or closed."""
    cdef H2Stream *s = c.buckets[(id >> 1) & c.bucket_mask]
    while s != NULL and s.id != id:
        s = s.next
    return s

cdef inline bint h2_is_peers(const H2Connection *c, uint32_t id) noexcept nogil:
    """Clients open odd ones (section 5.1.1)."""
    return (id & 1) != c.role

cdef inline bint h2_is_idle(const H2Connection *c, uint32_t id) noexcept nogil:
    if h2_is_peers(c, id):
        return id > c.last_peer
    return id >= c.next_own

cdef inline void h2s_may_send(H2Connection *c, H2Stream *s) noexcept nogil:
    """It takes its turn, if it has something that the stream's own window lets go."""
    cdef bint able = s.send_window > 0
    if s.send_first == NULL:
        able = s.flags & H2S_END_WAITS != 0
    if able and list_empty(&s.sending):
        list_append(&c.senders, &s.sending)
