"""The chunked coding, decoded in place (RFC 9112 section 7.1)."""
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t

cdef enum ChunkResult:
    CHUNK_MORE = 0                     # all consumed, the body goes on
    CHUNK_LAST = 1                     # the last chunk was read: the trailer section begins at data + consumed
    CHUNK_ERROR = -1

cdef struct ChunkDecoder:
    uint64_t remaining                 # data bytes left in the chunk at hand
    uint32_t line_length               # bytes of the size line so far, extensions counted; bounded
    uint8_t state

cdef void chunk_init(ChunkDecoder *decoder) noexcept nogil
# Decodes up to `length` bytes at `data`. The decoded bytes end up contiguous at data[start:start+produced]: a single
# run is not moved, later runs are moved up to it. `consumed` counts the raw bytes that are done with.
cdef int chunk_decode(
    ChunkDecoder *decoder, char *data, uint32_t length, uint32_t *consumed, uint32_t *start, uint32_t *produced
) noexcept nogil
# The size line of a chunk of `size` bytes with its CRLF; returns its length (at most 18)
cdef uint32_t chunk_write_size(char *out, uint64_t size) noexcept nogil
