"""Field blocks (RFC 9113 sections 4.3 and 8.1): collected when they come in several frames, decoded, made messages.

Every block is decoded, wanted or not, for HPACK's tables have to stay in step. What is collected is bounded by bytes
and by frames (a flood of CONTINUATION), what comes of it by the limits of a head. Called by `h2_connection`.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.h2_types cimport H2Connection, H2Event, H2Stream

# The first fragment of one that goes on; False without memory
cdef bint h2_block_begin(H2Connection *c, const char *fragment, uint32_t length) noexcept nogil
# Another; False: too much
cdef bint h2_block_more(H2Connection *c, const char *fragment, uint32_t length) noexcept nogil
cdef void h2_block_drop(H2Connection *c) noexcept nogil

# Whole blocks: 0 with the event set, an H2Error of the connection, or minus one of the stream.
# A new stream of the peer's comes about only with 0
cdef int h2_block_request(
    H2Connection *c, uint32_t id, const char *block, uint32_t length, H2Event *event
) noexcept nogil
cdef int h2_block_response(
    H2Connection *c, H2Stream *s, const char *block, uint32_t length, H2Event *event
) noexcept nogil
cdef int h2_block_trailers(
    H2Connection *c, H2Stream *s, const char *block, uint32_t length, H2Event *event
) noexcept nogil
# Nobody's
cdef int h2_block_discard(H2Connection *c, const char *block, uint32_t length) noexcept nogil
