"""See `log_line.pxd`."""
from libc.string cimport memcpy

from tulle._fast.base.types cimport likely, uint8_t, unlikely

cdef enum:
    TEXTS_LEAVE = 4096                 # the last bytes of a line are for its other parts, which are short

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct tm:
        int tm_sec
        int tm_min
        int tm_hour
        int tm_mday
        int tm_mon
        int tm_year
    tm *gmtime_r(const time_t *when, tm *result) noexcept


cdef void line_raw(LogLine *line, const char *text, uint32_t length) noexcept nogil:
    if line.length + length > line.room:
        return
    memcpy(line.out + line.length, text, length)
    line.length += length


cdef inline void put(LogLine *line, char octet) noexcept nogil:
    line.out[line.length] = octet
    line.length += 1


cdef void put_hex(LogLine *line, uint8_t octet) noexcept nogil:
    cdef const char *digits = b"0123456789abcdef"
    put(line, digits[octet >> 4])
    put(line, digits[octet & 15])


cdef void line_text(LogLine *line, const char *text, uint32_t length) noexcept nogil:
    cdef uint32_t stop = line.room - TEXTS_LEAVE
    cdef uint32_t index
    cdef uint8_t octet
    if unlikely(line.length + 8 > line.room):
        return
    if line.json:
        put(line, c'"')
    for index in range(length):
        if unlikely(line.length > stop):
            break
        octet = <uint8_t>text[index]
        if likely(0x20 <= octet < 0x7f and octet != c'"' and octet != c'\\'):
            put(line, <char>octet)
        elif line.json and (octet == c'"' or octet == c'\\'):
            put(line, c'\\')
            put(line, <char>octet)
        elif line.json:
            line_raw(line, b"\\u00", 4)
            put_hex(line, octet)
        elif octet < 0x20 or octet == 0x7f:
            line_raw(line, b"\\x", 2)
            put_hex(line, octet)
        else:
            put(line, <char>octet)
    if line.json:
        put(line, c'"')


cdef void line_number(LogLine *line, uint64_t value) noexcept nogil:
    cdef char digits[24]
    cdef uint32_t length = 0
    while True:
        digits[23 - length] = <char>(c'0' + value % 10)
        length += 1
        value //= 10
        if value == 0:
            break
    line_raw(line, digits + 24 - length, length)


cdef void line_absent(LogLine *line) noexcept nogil:
    if line.json:
        line_raw(line, b"null", 4)
    else:
        line_raw(line, b"-", 1)


cdef void put_padded(char *out, int value, int width) noexcept nogil:
    while width > 0:
        width -= 1
        out[width] = <char>(c'0' + value % 10)
        value //= 10


cdef void line_time(LogLine *line, uint64_t wall_nanoseconds) noexcept nogil:
    cdef time_t seconds = <time_t>(wall_nanoseconds // 1000000000)
    cdef char text[24]
    cdef tm parts
    gmtime_r(&seconds, &parts)
    memcpy(text, b"0000-00-00T00:00:00.000Z", 24)
    put_padded(text, parts.tm_year + 1900, 4)
    put_padded(text + 5, parts.tm_mon + 1, 2)
    put_padded(text + 8, parts.tm_mday, 2)
    put_padded(text + 11, parts.tm_hour, 2)
    put_padded(text + 14, parts.tm_min, 2)
    put_padded(text + 17, parts.tm_sec, 2)
    put_padded(text + 20, <int>(wall_nanoseconds // 1000000 % 1000), 3)
    line_text(line, text, 24)
