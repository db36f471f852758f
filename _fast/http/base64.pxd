"""Base64 with padding (RFC 4648 section 4)."""
from tulle._fast.base.types cimport uint8_t, uint32_t

# Of all the bytes: four characters for each three of them, and for what is left; answers how many
cdef uint32_t base64_write(char *out, const uint8_t *data, size_t length) noexcept nogil
