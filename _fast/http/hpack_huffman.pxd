"""Strings in the Huffman code of HPACK (RFC 7541 section 5.2).

A decode looks at 11 bits and finds one symbol or two; the rare codes that are longer are found by their length.
Called by HPACK's decoder and encoder.
"""
from tulle._fast.base.types cimport int64_t, uint8_t, uint32_t

cdef enum:
    HUFFMAN_BAD = -1                   # EOS, or padding that is longer than 7 bits or not all ones
    HUFFMAN_NO_ROOM = -2

# Bytes written to `out`, or one of the above; nothing is touched outside of the text and the room
cdef int64_t huffman_decode(char *out, uint32_t room, const uint8_t *text, uint32_t length) noexcept nogil
# Bytes that a text takes in the code
cdef uint32_t huffman_length(const char *text, uint32_t length) noexcept nogil
# Writes them; answers the end
cdef uint8_t *huffman_encode(uint8_t *out, const char *text, uint32_t length) noexcept nogil
