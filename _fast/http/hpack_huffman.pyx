"""See `hpack_huffman.pxd` for the contract."""
from libc.string cimport memcpy
from tulle._fast.base.types cimport int64_t, likely, uint8_t, uint32_t, uint64_t, unlikely
from tulle._fast.http.hpack_code cimport (
    HuffmanCode, HuffmanRange, HuffmanStep, huffman_codes, huffman_ranges, huffman_steps, huffman_symbols,
)

cdef extern from *:
    """
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define tulle_big_endian64(word) __builtin_bswap64(word)
    #else
    #define tulle_big_endian64(word) (word)
    #endif
    """
    uint64_t big_endian64 "tulle_big_endian64"(uint64_t word) noexcept nogil

cdef enum:
    STEP_BITS = 11
    PADDING_BITS = 7                   # at most


cdef inline const HuffmanRange *huffman_range(uint32_t bits) noexcept nogil:
    """Of the code above 11 bits that these 32 begin with; NULL for EOS."""
    cdef int index
    for index in range(15):
        if bits <= huffman_ranges[index].last:
            return &huffman_ranges[index]
    return NULL


cdef inline uint8_t huffman_long_symbol(const HuffmanRange *found, uint32_t bits) noexcept nogil:
    return huffman_symbols[found.symbols + (bits >> (32 - found.length)) - found.first]


cdef int64_t huffman_decode(char *out, uint32_t room, const uint8_t *text, uint32_t length) noexcept nogil:
    cdef const uint8_t *end = text + length
    cdef char *begin = out
    cdef char *out_end = out + room
    cdef const HuffmanRange *found
    cdef HuffmanStep step
    cdef uint64_t bits = 0             # the next ones, from the top
    cdef uint64_t word
    cdef uint32_t have = 0             # how many of them are of the text; those behind are ones once it has ended
    while True:
        if likely(end - text >= 8):
            memcpy(&word, text, 8)
            bits |= big_endian64(word) >> have
            text += (63 - have) >> 3
            have |= 56
        else:
            while have <= 56 and text < end:
                bits |= <uint64_t>text[0] << (56 - have)
                text += 1
                have += 8
            if text == end:
                break
        # At least 56 bits: four looks at 11 of them
        for _ in range(4):
            step = huffman_steps[bits >> (64 - STEP_BITS)]
            if unlikely(step.count == 0 or out_end - out < 2):
                break
            out[0] = <char>step.first
            out[1] = <char>step.second
            out += step.count
            bits <<= step.bits
            have -= step.bits
        else:
            continue
        if step.count != 0:
            if out == out_end:
                return HUFFMAN_NO_ROOM
            # Room for one: what a second may need is seen with the next look
            out[0] = <char>step.first
            out += 1
            bits <<= huffman_codes[step.first].length
            have -= huffman_codes[step.first].length
        elif have >= 32:
            found = huffman_range(<uint32_t>(bits >> 32))
            if unlikely(found == NULL):
                return HUFFMAN_BAD
            if unlikely(out == out_end):
                return HUFFMAN_NO_ROOM
            out[0] = <char>huffman_long_symbol(found, <uint32_t>(bits >> 32))
            out += 1
            bits <<= found.length
            have -= found.length
    # The rest of the text is in `bits`; ones behind it read as the beginning of EOS
    return huffman_decode_rest(begin, out, out_end, bits, have)


cdef int64_t huffman_decode_rest(char *begin, char *out, char *out_end, uint64_t bits, uint32_t have) noexcept nogil:
    cdef const HuffmanRange *found
    cdef HuffmanStep step
    cdef uint32_t length
    cdef uint8_t symbol
    # As long as all that a look sees is of the text: one or two symbols
    while have >= STEP_BITS and out_end - out >= 2:
        step = huffman_steps[bits >> (64 - STEP_BITS)]
        if unlikely(step.count == 0):
            break
        out[0] = <char>step.first
        out[1] = <char>step.second
        out += step.count
        bits <<= step.bits
        have -= step.bits
    while have > 0:
        bits |= (<uint64_t>1 << (64 - have)) - 1 if have < 64 else 0
        step = huffman_steps[bits >> (64 - STEP_BITS)]
        if likely(step.count != 0):
            symbol = step.first
            length = huffman_codes[symbol].length
        else:
            found = huffman_range(<uint32_t>(bits >> 32))
            if found == NULL:
                break
            length = found.length
            symbol = huffman_long_symbol(found, <uint32_t>(bits >> 32))
        if length > have:
            break
        if unlikely(out == out_end):
            return HUFFMAN_NO_ROOM
        out[0] = <char>symbol
        out += 1
        bits <<= length
        have -= length
    if unlikely(have > PADDING_BITS or (have > 0 and bits >> (64 - have) != ((<uint64_t>1 << have) - 1))):
        return HUFFMAN_BAD
    return out - begin


cdef uint32_t huffman_length(const char *text, uint32_t length) noexcept nogil:
    cdef uint64_t bits = 7
    cdef uint32_t index
    for index in range(length):
        bits += huffman_codes[<uint8_t>text[index]].length
    return <uint32_t>(bits >> 3)


cdef uint8_t *huffman_encode(uint8_t *out, const char *text, uint32_t length) noexcept nogil:
    cdef HuffmanCode code
    cdef uint64_t bits = 0
    cdef uint32_t have = 0             # bits that wait in the low end of `bits`, fewer than 8 between two symbols
    cdef uint32_t index
    for index in range(length):
        code = huffman_codes[<uint8_t>text[index]]
        bits = bits << code.length | code.code
        have += code.length
        while have >= 8:
            have -= 8
            out[0] = <uint8_t>(bits >> have)
            out += 1
    if have > 0:
        # padded with the beginning of EOS
        out[0] = <uint8_t>(bits << (8 - have) | <uint64_t>0xff >> have)
        out += 1
    return out
