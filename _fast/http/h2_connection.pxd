"""An HTTP/2 connection in either role (RFC 9113): bytes in, events out; see `h2_types` for what it is made of.

    h2c_init                           its opening is in the output already
    h2c_receive, again and again       takes bytes from the front of what was read, and answers with one event
    h2_send: h2s_respond, h2s_send ... what goes out is appended to the output
    h2c_pump                           DATA of streams that wait, in turn, as far as windows and output allow
    (c.out_first ... c.out_last)       to the socket, then h2_out_gone
    h2c_next_drained                   whose owners can go on

A frame other than DATA is taken when it is whole; the owner's buffer has room for FRAME_HEAD + FRAME_PAYLOAD_LEAST.
DATA is handed out piece by piece as it comes. Every violation ends the stream or the connection as the RFC asks for
(sections 5.1, 5.4, 6), a stream's error with RST_STREAM and H2_CLOSED, the connection's with GOAWAY and H2_FAILED.

Server push is refused: as a client we say so, and take a promise for an error.
"""
from tulle._fast.base.buf cimport BufPool
from tulle._fast.base.slab cimport Slab
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.http.h2_types cimport H2S_REMOTE_DONE, H2Connection, H2Event, H2Limits, H2Stream
from tulle._fast.http.hpack_encode cimport HpackLookup

# 0, or -1 without memory. `malformed` and `calmed` are counters
cdef int h2c_init(
    H2Connection *c, int role, BufPool *bufs, Slab *streams, Slab *messages, const HpackLookup *lookup,
    const H2Limits *limits, uint64_t now, uint64_t *malformed, uint64_t *calmed
) noexcept nogil
# With all its streams; what their owners held of messages is theirs
cdef void h2c_destroy(H2Connection *c) noexcept nogil
# How many of the bytes are done with; they must stay where they are until the event has been acted on
cdef uint32_t h2c_receive(H2Connection *c, const char *data, uint32_t length, H2Event *event) noexcept nogil

# The connection's error: GOAWAY. Nothing is received after it
cdef void h2c_fail(H2Connection *c, uint32_t error) noexcept nogil
# The first step of a drain: no stream is to be opened any more, those on their way are still taken (section 6.8)
cdef void h2c_shutdown(H2Connection *c) noexcept nogil
# The second step: streams above the last one that was taken were not looked at
cdef void h2c_shut(H2Connection *c) noexcept nogil
# Asks for H2_PONG, which comes behind all that the peer had sent by then
cdef void h2c_ping(H2Connection *c) noexcept nogil
# Asks for H2_ALIVE: whether the peer is still there
cdef void h2c_ask(H2Connection *c) noexcept nogil

# Client: another stream, or NULL when the peer allows no more or ids have run out. No frame goes out before its head
cdef H2Stream *h2c_open(H2Connection *c) noexcept nogil
cdef bint h2c_may_open(const H2Connection *c) noexcept nogil
# RST_STREAM, unless it is closed; the owner gets no event for it, and lets go by h2s_leave
cdef void h2s_reset(H2Connection *c, H2Stream *s, uint32_t error) noexcept nogil
# The owner lets go: what is not finished is reset with `error`, and the stream is gone
cdef void h2s_leave(H2Connection *c, H2Stream *s, uint32_t error) noexcept nogil

# -- the body that comes in -------------------------------------------------------------------------------------------

# The next bytes that are here, good until the next call; 0 when there are none now. The peer may send as many more
cdef uint32_t h2s_read(H2Connection *c, H2Stream *s, const char **data) noexcept nogil
# What is left of the piece that an event brought is kept for later. False without memory: the stream has been reset
cdef bint h2s_keep(H2Connection *c, H2Stream *s) noexcept nogil

cdef inline bint h2s_at_end(const H2Stream *s) noexcept nogil:
    """All of the body was read, and it is complete."""
    return s.flags & H2S_REMOTE_DONE and s.receive_first == NULL and s.piece_length == 0
