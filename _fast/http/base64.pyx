"""See `base64.pxd`."""

cdef extern from *:
    """
    static const char tulle_base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    """
    const char *tulle_base64


cdef void write_quad(char *out, const uint8_t *triple, size_t length) noexcept nogil:
    cdef uint32_t word = <uint32_t>triple[0] << 16
    if length > 1:
        word |= <uint32_t>triple[1] << 8
    if length > 2:
        word |= triple[2]
    out[0] = tulle_base64[word >> 18]
    out[1] = tulle_base64[word >> 12 & 63]
    out[2] = tulle_base64[word >> 6 & 63] if length > 1 else c'='
    out[3] = tulle_base64[word & 63] if length > 2 else c'='


cdef uint32_t base64_write(char *out, const uint8_t *data, size_t length) noexcept nogil:
    cdef uint32_t made = 0
    cdef size_t index = 0
    while index < length:
        write_quad(out + made, data + index, length - index)
        index += 3
        made += 4
    return made
