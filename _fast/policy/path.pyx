"""See `path.pxd`. One pass to find that nothing is to do; else one pass that writes the normal form.

While writing, `segment` is where the current segment begins in `out`, just behind its slash. When a segment
ends and is a dot segment, it is taken back, with the segment before it for "..", and the slash that ended it
is swallowed, since the one before it stays (RFC 3986 section 5.2.4).
"""
from tulle._fast.base.ascii cimport ascii_hex
from tulle._fast.base.types cimport int32_t, uint8_t, uint32_t
from tulle._fast.policy.image cimport (
    LISTENER_DECODE_ESCAPED_SLASH, LISTENER_MERGE_SLASHES, LISTENER_REFUSE_ESCAPED_SLASH, LISTENER_REFUSE_SLASHES,
)


cdef inline bint is_unreserved(uint8_t byte) noexcept nogil:
    return (
        c'a' <= byte <= c'z' or c'A' <= byte <= c'Z' or c'0' <= byte <= c'9'
        or byte == c'-' or byte == c'.' or byte == c'_' or byte == c'~'
    )


cdef inline bint in_normal_form(const char *path, uint32_t length) noexcept nogil:
    """Without escapes, empty segments, and segments that begin with a dot: nothing can be to do."""
    cdef uint32_t index
    cdef uint8_t byte
    cdef uint8_t last = 0
    for index in range(length):
        byte = <uint8_t>path[index]
        if byte == c'%' or (last == c'/' and (byte == c'/' or byte == c'.')):
            return False
        last = byte
    return True


cdef inline uint32_t end_segment(const char *out, uint32_t segment, uint32_t end) noexcept nogil:
    """Where to write on when a segment has ended: `end`, or earlier when it was a dot segment."""
    cdef uint32_t length = end - segment
    if length == 1 and out[segment] == c'.':
        return segment
    if length == 2 and out[segment] == c'.' and out[segment + 1] == c'.':
        if segment == 1:
            return 1
        segment -= 1
        while out[segment - 1] != c'/':
            segment -= 1
        return segment
    return end


cdef int path_normalise(
    const char *path, uint32_t length, uint32_t flags, char *out, uint32_t *out_length
) noexcept nogil:
    cdef uint32_t read = 1
    cdef uint32_t written = 1
    cdef uint32_t segment = 1
    cdef uint32_t kept
    cdef uint8_t byte
    cdef int32_t high, low
    cdef bint changed = False
    if length == 0 or path[0] != c'/':
        return PATH_AS_IS if length == 1 and path[0] == c'*' else PATH_REFUSED
    if in_normal_form(path, length):
        return PATH_AS_IS
    out[0] = c'/'
    while read < length:
        byte = <uint8_t>path[read]
        read += 1
        if byte == c'%':
            if length - read < 2:
                return PATH_REFUSED
            high = ascii_hex(<uint8_t>path[read])
            low = ascii_hex(<uint8_t>path[read + 1])
            if high < 0 or low < 0 or high + low == 0:
                return PATH_REFUSED
            read += 2
            byte = <uint8_t>(high << 4 | low)
            if (byte == c'/' or byte == c'\\') and flags & LISTENER_REFUSE_ESCAPED_SLASH:
                return PATH_REFUSED
            if not is_unreserved(byte) and not (byte == c'/' and flags & LISTENER_DECODE_ESCAPED_SLASH):
                out[written] = c'%'
                out[written + 1] = <char>(c'0' + high if high < 10 else c'A' + high - 10)
                out[written + 2] = <char>(c'0' + low if low < 10 else c'A' + low - 10)
                written += 3
                continue
        if byte != c'/':
            out[written] = <char>byte
            written += 1
            continue
        if written == segment:                 # an empty segment
            if flags & LISTENER_REFUSE_SLASHES:
                return PATH_REFUSED
            if flags & LISTENER_MERGE_SLASHES:
                continue
        kept = end_segment(out, segment, written)
        if kept == written:
            out[written] = c'/'
            written += 1
        else:
            written = kept
        segment = written
    written = end_segment(out, segment, written)
    if written == length:                      # nothing was decoded or taken back; digits may still have changed
        for read in range(length):
            if out[read] != path[read]:
                changed = True
                break
        if not changed:
            return PATH_AS_IS
    out_length[0] = written
    return PATH_CHANGED


def normalise_path(bytes path, uint32_t flags):
    """The path in normal form, or None when it is refused. `flags` are ListenerFlags."""
    cdef bytearray out = bytearray(len(path))
    cdef uint32_t out_length = 0
    cdef int result = path_normalise(path, <uint32_t>len(path), flags, out, &out_length)
    if result == PATH_REFUSED:
        return None
    return path if result == PATH_AS_IS else bytes(out[:out_length])


def path_in_normal_form(str path):
    """A path of the configuration in the form that requests have when they are matched; as it is if malformed."""
    cdef bytes normal = normalise_path(path.encode(), 0)
    return path if normal is None else normal.decode()
