"""HPACK blocks to messages (RFC 7541), with the rules for names and values of RFC 9113 section 8.2.

A block is whole and contiguous. Its fields come to lie in an arena of the caller as HTTP/1 lines, one after the other:
`h1_write` may take them verbatim. The pseudo-fields (section 8.3) become the parts of the message; `:authority` is
also its first field, as Host, and a Host that says the same is left out. Several Cookie fields become one (8.2.3).
What the parts mean for one another is judged by `h2_message`.

The limits are kept while decoding: what is too large, or malformed, is decoded to its end without being stored, for
the table has to stay in step with the peer's. The same holds for names and values that are wrong: they go into the
table with a mark, and a hit is never looked at twice.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.hpack_table cimport HpackTable
from tulle._fast.http.message cimport Message

cdef enum HpackResult:
    HPACK_DONE = 1
    HPACK_MALFORMED = -1               # a stream error of type PROTOCOL_ERROR (RFC 9113 section 8.1.1)
    HPACK_TOO_LARGE = -2               # more fields or bytes than the limits: 431
    HPACK_ERROR = -3                   # a connection error of type COMPRESSION_ERROR: the table is lost

cdef enum HpackSection:
    HPACK_REQUEST = 0
    HPACK_RESPONSE
    HPACK_TRAILERS

cdef enum:
    HPACK_ARENA_LEAST = 4352           # an entry of the largest table has room

cdef struct HpackLimits:
    uint32_t size                      # of names and values, with 32 for each, as in SETTINGS_MAX_HEADER_LIST_SIZE
    uint32_t fields                    # at most MESSAGE_FIELDS_MAX

cdef struct HpackDecoder:
    uint32_t allowed                   # what the peer may have its table hold
    bint lowered                       # since its last block: the next has to begin with an update
    HpackTable table

cdef void hpack_decoder_init(HpackDecoder *decoder) noexcept nogil
# Our SETTINGS_HEADER_TABLE_SIZE, once the peer has acknowledged it; at most HPACK_TABLE_MAX
cdef void hpack_decoder_allow(HpackDecoder *decoder, uint32_t size) noexcept nogil
# Fills `message`, whose base is the arena; `head_length` is what of the arena is used. It has room for at least
# HPACK_ARENA_LEAST bytes. Answers a HpackResult; the message means nothing unless that is HPACK_DONE
cdef int hpack_decode(
    HpackDecoder *decoder, Message *message, int section, const uint8_t *block, uint32_t length,
    char *arena, uint32_t room, const HpackLimits *limits
) noexcept nogil
