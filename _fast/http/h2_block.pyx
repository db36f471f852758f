"""See `h2_block.pxd` for the contract."""
from libc.string cimport memcpy

from tulle._fast.base.buf cimport Buf, buf_get, buf_room, buf_unref
from tulle._fast.base.slab cimport slab_get, slab_put
from tulle._fast.base.types cimport likely, uint8_t, unlikely
from tulle._fast.http.h1_parse cimport h1_message_init
from tulle._fast.http.h2_frame cimport (
    H2_COMPRESSION_ERROR, H2_INTERNAL_ERROR, H2_PROTOCOL_ERROR, H2_REFUSED_STREAM,
)
from tulle._fast.http.h2_message cimport (
    HEAD_EXPECTATION, HEAD_FINE, HEAD_LINE_TOO_LONG, HEAD_MALFORMED, HEAD_TOO_LARGE, h2_judge_request,
    h2_judge_response, h2_judge_trailers,
)
from tulle._fast.http.h2_stream cimport h2s_closing, h2s_new
from tulle._fast.http.h2_types cimport (
    H2_HEAD, H2_REFUSE, H2_TRAILERS, H2S_COUNTED, H2S_HEAD_SEEN, H2S_LENGTH, H2S_REMOTE_DONE,
)
from tulle._fast.http.hpack_decode cimport (
    HPACK_DONE, HPACK_ERROR, HPACK_REQUEST, HPACK_RESPONSE, HPACK_TOO_LARGE, HPACK_TRAILERS, HpackLimits, hpack_decode,
)
from tulle._fast.http.message cimport FRAMING_LENGTH, FRAMING_NONE, VERSION_HTTP_2, Message

cdef enum:
    SMALL_BLOCK = 4096                 # with what HPACK's table may add, its lines have room in a small buffer
    FRAMES_MOST = 64                   # HEADERS and CONTINUATION of one block
    TRAILER_BYTES = 8192
    TRAILER_FIELDS = 32
    OVERHEAD = 32                      # that SETTINGS_MAX_HEADER_LIST_SIZE adds for each field

cdef struct Decoded:
    Message *message
    Buf *buf
    int result                         # HpackResult, or 0 without memory


# -- fragments --------------------------------------------------------------------------------------------------------

cdef bint h2_block_begin(H2Connection *c, const char *fragment, uint32_t length) noexcept nogil:
    c.block = buf_get(c.bufs, True)
    if unlikely(c.block == NULL):
        return False
    memcpy(c.block.data, fragment, length)
    c.block.end = length
    return True


cdef bint h2_block_more(H2Connection *c, const char *fragment, uint32_t length) noexcept nogil:
    c.block_frames += 1
    if unlikely(
        c.block_frames > FRAMES_MOST or buf_room(c.block) < length
        or c.block.end + length > c.limits.head + OVERHEAD * c.limits.fields
    ):
        return False
    memcpy(c.block.data + c.block.end, fragment, length)
    c.block.end += length
    return True


cdef void h2_block_drop(H2Connection *c) noexcept nogil:
    if c.block != NULL:
        buf_unref(c.bufs, c.block)
        c.block = NULL


# -- decoding ---------------------------------------------------------------------------------------------------------

cdef void let_go(H2Connection *c, Decoded *decoded) noexcept nogil:
    if decoded.message != NULL:
        slab_put(c.messages_slab, decoded.message)
    if decoded.buf != NULL:
        buf_unref(c.bufs, decoded.buf)


cdef void decode(H2Connection *c, int section, const char *block, uint32_t length, Decoded *decoded) noexcept nogil:
    cdef HpackLimits limits
    limits.size = c.limits.head + OVERHEAD * c.limits.fields
    limits.fields = c.limits.fields
    if section == HPACK_TRAILERS:
        limits.size = TRAILER_BYTES
        limits.fields = TRAILER_FIELDS
    decoded.result = 0
    decoded.message = <Message *>slab_get(c.messages_slab)
    decoded.buf = buf_get(c.bufs, length > SMALL_BLOCK)
    if unlikely(decoded.message == NULL or decoded.buf == NULL):
        return
    decoded.result = hpack_decode(
        &c.decoder, decoded.message, section, <const uint8_t *>block, length, decoded.buf.data,
        decoded.buf.capacity, &limits,
    )
    decoded.buf.end = decoded.message.head_length


cdef int failed(H2Connection *c, Decoded *decoded) noexcept nogil:
    """The error of a block that is no message; what it was decoded to is gone."""
    let_go(c, decoded)
    if decoded.result == 0:
        return H2_INTERNAL_ERROR       # without the tables in step nothing can go on
    if decoded.result == HPACK_ERROR:
        return H2_COMPRESSION_ERROR
    return -<int>H2_PROTOCOL_ERROR


cdef int h2_block_discard(H2Connection *c, const char *block, uint32_t length) noexcept nogil:
    cdef Decoded decoded
    cdef int result
    decode(c, HPACK_REQUEST, block, length, &decoded)
    result = failed(c, &decoded)
    return result if result > 0 else 0


cdef void hand_over(
    H2Connection *c, H2Stream *s, Decoded *decoded, int kind, H2Event *event
) noexcept nogil:
    event.kind = <uint8_t>kind
    event.stream = s
    event.message = decoded.message
    event.buf = decoded.buf
    event.end = c.block_end
    if c.block_end:
        s.flags |= H2S_REMOTE_DONE
        h2s_closing(c, s)


cdef uint32_t status_of(int judged) noexcept nogil:
    if judged == HEAD_EXPECTATION:
        return 417
    return 414 if judged == HEAD_LINE_TOO_LONG else 431


cdef int h2_block_request(
    H2Connection *c, uint32_t id, const char *block, uint32_t length, H2Event *event
) noexcept nogil:
    cdef Decoded decoded
    cdef H2Stream *s
    cdef int judged = HEAD_TOO_LARGE
    decode(c, HPACK_REQUEST, block, length, &decoded)
    if unlikely(decoded.result != HPACK_DONE and decoded.result != HPACK_TOO_LARGE):
        return failed(c, &decoded)
    if likely(decoded.result == HPACK_DONE):
        judged = h2_judge_request(decoded.message, decoded.buf, c.block_end, c.limits.line)
        if unlikely(decoded.message.protocol_length != 0 and not c.limits.extended_connect):
            judged = HEAD_MALFORMED    # nobody has said that it may be asked for (RFC 8441 section 3)
    if unlikely(judged == HEAD_MALFORMED or c.block_bad):
        let_go(c, &decoded)
        return -<int>H2_PROTOCOL_ERROR
    if unlikely(c.peer_streams >= c.limits.streams):
        let_go(c, &decoded)
        return -<int>H2_REFUSED_STREAM
    s = h2s_new(c, id)
    if unlikely(s == NULL):
        let_go(c, &decoded)
        return -<int>H2_REFUSED_STREAM
    s.flags = H2S_COUNTED | H2S_HEAD_SEEN
    c.peer_streams += 1
    if likely(judged == HEAD_FINE):
        s.method = decoded.message.method
        if decoded.message.framing == FRAMING_LENGTH:
            s.flags |= H2S_LENGTH
            s.expected = decoded.message.content_length
        hand_over(c, s, &decoded, H2_HEAD, event)
        return 0
    if judged == HEAD_TOO_LARGE:
        # Nothing of it is to be relied on
        h1_message_init(decoded.message)
        decoded.message.base = decoded.buf.data
        decoded.message.version_minor = VERSION_HTTP_2
    hand_over(c, s, &decoded, H2_REFUSE, event)
    event.error = status_of(judged)
    return 0


cdef int h2_block_response(
    H2Connection *c, H2Stream *s, const char *block, uint32_t length, H2Event *event
) noexcept nogil:
    cdef Decoded decoded
    decode(c, HPACK_RESPONSE, block, length, &decoded)
    if unlikely(decoded.result != HPACK_DONE):
        return failed(c, &decoded)
    if unlikely(
        h2_judge_response(decoded.message, decoded.buf, c.block_end, s.method) != HEAD_FINE or c.block_bad
    ):
        let_go(c, &decoded)
        return -<int>H2_PROTOCOL_ERROR
    if decoded.message.status >= 200:
        s.flags |= H2S_HEAD_SEEN
        if decoded.message.framing == FRAMING_LENGTH:
            s.flags |= H2S_LENGTH
            s.expected = decoded.message.content_length
        elif decoded.message.framing == FRAMING_NONE:
            s.flags |= H2S_LENGTH      # HEAD, 204, 304: no DATA but an empty one
    hand_over(c, s, &decoded, H2_HEAD, event)
    return 0


cdef int h2_block_trailers(
    H2Connection *c, H2Stream *s, const char *block, uint32_t length, H2Event *event
) noexcept nogil:
    cdef Decoded decoded
    decode(c, HPACK_TRAILERS, block, length, &decoded)
    if unlikely(decoded.result != HPACK_DONE):
        return failed(c, &decoded)
    if unlikely(
        h2_judge_trailers(decoded.message) != HEAD_FINE or c.block_bad
        or (s.flags & H2S_LENGTH and s.expected != 0)
    ):
        let_go(c, &decoded)
        return -<int>H2_PROTOCOL_ERROR
    hand_over(c, s, &decoded, H2_TRAILERS, event)
    return 0
