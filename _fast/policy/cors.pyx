"""See `cors.pxd`."""
from libc.string cimport memcmp

from tulle._fast.policy.image cimport image_at, image_text


cdef bint is_label(char byte) noexcept nogil:
    return c'a' <= byte <= c'z' or c'0' <= byte <= c'9' or byte == c'-' or byte == c'_' or byte == c'.'


cdef bint origin_is(const Image *image, const OriginEntry *entry, const char *origin, uint32_t length) noexcept nogil:
    cdef uint32_t index
    if entry.tail.length == 0:
        return length == entry.head.length and memcmp(origin, image_text(image, entry.head), length) == 0
    if (
        length <= entry.head.length + entry.tail.length
        or memcmp(origin, image_text(image, entry.head), entry.head.length) != 0
        or memcmp(origin + length - entry.tail.length, image_text(image, entry.tail), entry.tail.length) != 0
    ):
        return False
    for index in range(entry.head.length, length - entry.tail.length):
        if not is_label(origin[index]):
            return False
    return origin[entry.head.length] != c'.'


cdef bint cors_allows(const Image *image, const CorsEntry *cors, const char *origin, uint32_t length) noexcept nogil:
    cdef const OriginEntry *entry = <const OriginEntry *>image_at(image, cors.origins.offset)
    cdef uint32_t index
    if cors.any_origin:
        return True
    for index in range(cors.origins.count):
        if origin_is(image, &entry[index], origin, length):
            return True
    return False
