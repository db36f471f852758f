"""See `websocket.pxd` for the contract."""
from libc.string cimport memcpy, memset

from tulle._fast.http.base64 cimport base64_write

cdef enum:
    BLOCK = 64                         # octets of SHA-1's block
    DIGEST = 20


cdef inline uint32_t rotated(uint32_t word, int bits) noexcept nogil:
    return word << bits | word >> (32 - bits)


cdef void digest_block(uint32_t *state, const uint8_t *block) noexcept nogil:
    """One step of SHA-1 (RFC 3174 section 6.1), which nothing here relies on for secrecy."""
    cdef uint32_t words[80]
    cdef uint32_t a = state[0]
    cdef uint32_t b = state[1]
    cdef uint32_t c = state[2]
    cdef uint32_t d = state[3]
    cdef uint32_t e = state[4]
    cdef uint32_t mixed, added
    cdef int index
    for index in range(16):
        words[index] = (
            <uint32_t>block[4 * index] << 24 | <uint32_t>block[4 * index + 1] << 16
            | <uint32_t>block[4 * index + 2] << 8 | block[4 * index + 3]
        )
    for index in range(16, 80):
        words[index] = rotated(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1)
    for index in range(80):
        if index < 20:
            mixed = (b & c) | (~b & d)
            added = 0x5A827999
        elif index < 40:
            mixed = b ^ c ^ d
            added = 0x6ED9EBA1
        elif index < 60:
            mixed = (b & c) | (b & d) | (c & d)
            added = 0x8F1BBCDC
        else:
            mixed = b ^ c ^ d
            added = 0xCA62C1D6
        added += rotated(a, 5) + mixed + e + words[index]
        e = d
        d = c
        c = rotated(b, 30)
        b = a
        a = added
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e


cdef void websocket_accept(char *out, const char *key) noexcept nogil:
    cdef uint8_t blocks[128]
    cdef uint8_t digest[DIGEST]
    cdef uint32_t state[5]
    cdef uint32_t index
    # Key and GUID are 60 octets: with the end mark and the length, in bits, two blocks
    memset(blocks, 0, sizeof(blocks))
    memcpy(blocks, key, WEBSOCKET_KEY)
    memcpy(blocks + WEBSOCKET_KEY, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36)
    blocks[60] = 0x80
    blocks[126] = 480 >> 8
    blocks[127] = 480 & 0xff
    state[0] = 0x67452301
    state[1] = 0xEFCDAB89
    state[2] = 0x98BADCFE
    state[3] = 0x10325476
    state[4] = 0xC3D2E1F0
    digest_block(state, blocks)
    digest_block(state, blocks + BLOCK)
    for index in range(<uint32_t>DIGEST):
        digest[index] = state[index // 4] >> (24 - 8 * (index % 4)) & 0xff
    base64_write(out, digest, DIGEST)


cdef void websocket_key(char *out, uint64_t first, uint64_t second) noexcept nogil:
    cdef uint8_t octets[16]
    memcpy(octets, &first, 8)
    memcpy(octets + 8, &second, 8)
    base64_write(out, octets, 16)
