"""The text of a log line: a bounded buffer that escapes what would break the line, for JSON and for plain text.

In JSON every byte above 0x7e is written as \\u00XX, so a line is valid whatever a client sends; in text, control bytes
are written as \\xXX. A text that does not fit is cut, between two escapes.
"""
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef struct LogLine:
    char *out
    uint32_t length
    uint32_t room                      # of a line that takes texts: more than 4096
    bint json

cdef void line_raw(LogLine *line, const char *text, uint32_t length) noexcept nogil
# A value: quoted in JSON
cdef void line_text(LogLine *line, const char *text, uint32_t length) noexcept nogil
cdef void line_number(LogLine *line, uint64_t value) noexcept nogil
# null or `-`
cdef void line_absent(LogLine *line) noexcept nogil
# 2025-01-31T12:00:00.000Z
cdef void line_time(LogLine *line, uint64_t wall_nanoseconds) noexcept nogil
