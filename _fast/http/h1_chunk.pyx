"""See `h1_chunk.pxd` for the contract.

Extensions are read over and not kept (RFC 9112 section 7.1.1), but no control character passes in them, and no white
space between the size and what follows: in a size line two parties easily come to see different chunks.
"""
from libc.string cimport memmove
from tulle._fast.base.types cimport likely, uint8_t, uint32_t, uint64_t, unlikely
from tulle._fast.http.octet cimport OCTET_HEX, octet_hex, octet_is

cdef enum:
    CHUNK_LINE_MAX = 512               # bytes of a size line with its extensions
    CHUNK_SIZE_BITS = 59               # a size of no more bits takes another digit and stays below 2**63

cdef enum ChunkState:
    STATE_SIZE_FIRST                   # the first digit of a size line
    STATE_SIZE
    STATE_EXTENSION
    STATE_SIZE_LF
    STATE_DATA
    STATE_DATA_CR
    STATE_DATA_LF
    STATE_LAST
    STATE_ERROR


cdef void chunk_init(ChunkDecoder *decoder) noexcept nogil:
    decoder.remaining = 0
    decoder.line_length = 0
    decoder.state = STATE_SIZE_FIRST


cdef uint8_t chunk_size_digit(ChunkDecoder *decoder, uint8_t octet) noexcept nogil:
    if unlikely(decoder.remaining >> CHUNK_SIZE_BITS != 0):
        return STATE_ERROR
    decoder.remaining = decoder.remaining << 4 | octet_hex(octet)
    return STATE_SIZE


cdef uint8_t chunk_line_octet(ChunkDecoder *decoder, uint8_t octet) noexcept nogil:
    """The state after one octet outside of the data."""
    cdef uint8_t state = decoder.state
    if state == STATE_DATA_CR:
        return STATE_DATA_LF if octet == c'\r' else STATE_ERROR
    if state == STATE_DATA_LF:
        return STATE_SIZE_FIRST if octet == c'\n' else STATE_ERROR
    decoder.line_length += 1
    if unlikely(decoder.line_length > CHUNK_LINE_MAX):
        return STATE_ERROR
    if state == STATE_SIZE_LF:
        decoder.line_length = 0
        if octet != c'\n':
            return STATE_ERROR
        return STATE_DATA if decoder.remaining != 0 else STATE_LAST
    if state == STATE_EXTENSION:
        if octet == c'\r':
            return STATE_SIZE_LF
        return STATE_ERROR if octet < 0x20 and octet != c'\t' or octet == 0x7f else STATE_EXTENSION
    if likely(octet_is(octet, OCTET_HEX)):
        return chunk_size_digit(decoder, octet)
    if state == STATE_SIZE and octet == c'\r':
        return STATE_SIZE_LF
    return STATE_EXTENSION if state == STATE_SIZE and octet == c';' else STATE_ERROR


cdef int chunk_decode(
    ChunkDecoder *decoder, char *data, uint32_t length, uint32_t *consumed, uint32_t *start, uint32_t *produced
) noexcept nogil:
    cdef uint32_t position = 0
    cdef uint32_t run
    start[0] = 0
    produced[0] = 0
    while position < length and decoder.state < STATE_LAST:
        if decoder.state != STATE_DATA:
            decoder.state = chunk_line_octet(decoder, <uint8_t>data[position])
            position += 1
            continue
        run = length - position
        if run >= decoder.remaining:
            run = <uint32_t>decoder.remaining
            decoder.state = STATE_DATA_CR
        decoder.remaining -= run
        if produced[0] == 0:
            start[0] = position
        else:
            memmove(data + start[0] + produced[0], data + position, run)
        produced[0] += run
        position += run
    consumed[0] = position
    if decoder.state == STATE_ERROR:
        return CHUNK_ERROR
    return CHUNK_LAST if decoder.state == STATE_LAST else CHUNK_MORE


cdef uint32_t chunk_write_size(char *out, uint64_t size) noexcept nogil:
    cdef const char *digits = b"0123456789abcdef"
    cdef uint32_t length = 1
    cdef uint32_t index
    while length < 16 and size >> (4 * length) != 0:
        length += 1
    for index in range(length):
        out[index] = digits[(size >> (4 * (length - 1 - index))) & 15]
    out[length] = c'\r'
    out[length + 1] = c'\n'
    return length + 2
