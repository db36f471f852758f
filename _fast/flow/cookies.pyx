"""See `cookies.pxd`."""
from libc.string cimport memcpy

from tulle._fast.base.ascii cimport ascii_hex
from tulle._fast.base.types cimport int32_t
from tulle._fast.flow.head_edits cimport extra_add
from tulle._fast.flow.types cimport COOKIE_TEXT
from tulle._fast.policy.image cimport image_text


cdef void cookie_digits(char *out, uint64_t value) noexcept nogil:
    cdef const char *digits = b"0123456789abcdef"
    cdef uint32_t index
    for index in range(<uint32_t>COOKIE_DIGITS):
        out[index] = digits[value >> 60]
        value <<= 4


cdef uint64_t cookie_number(const char *text, uint32_t length) noexcept nogil:
    cdef uint64_t value = 0
    cdef uint32_t index
    cdef int32_t digit
    if length != COOKIE_DIGITS:
        return 0
    for index in range(<uint32_t>COOKIE_DIGITS):
        digit = ascii_hex(<unsigned char>text[index])
        if digit < 0:
            return 0
        value = value << 4 | <uint64_t>digit
    return value


cdef void cookie_set(
    Exchange *x, const HashItem *item, uint64_t value, int room, uint32_t *count
) noexcept nogil:
    cdef char *text = x.worker.cookie_text[room]
    cdef char *out = text
    if item.name.length + 1 + COOKIE_DIGITS + item.attributes.length > COOKIE_TEXT:
        return
    memcpy(out, image_text(x.table.image, item.name), item.name.length)
    out += item.name.length
    out[0] = c'='
    cookie_digits(out + 1, value)
    out += 1 + COOKIE_DIGITS
    memcpy(out, image_text(x.table.image, item.attributes), item.attributes.length)
    out += item.attributes.length
    extra_add(x.worker, count, b"set-cookie", 10, text, <uint32_t>(out - text))
