"""See `header_case.pxd`."""
from libc.string cimport memchr

from tulle._fast.http.h1_write cimport Extra


cdef char *title_name(char *name, char *end) noexcept nogil:
    """Up to the colon."""
    cdef bint begins = True
    while name < end and name[0] != c':':
        if c'a' <= name[0] <= c'z':
            if begins:
                name[0] -= 32
            begins = False
        else:
            begins = not (c'A' <= name[0] <= c'Z' or c'0' <= name[0] <= c'9')
        name += 1
    return name


cdef char *next_line(char *line, char *end) noexcept nogil:
    cdef char *mark = <char *>memchr(line, c'\n', <size_t>(end - line))
    return mark + 1 if mark != NULL else end


cdef uint32_t length_of_extras(const HeadEdits *edits) noexcept nogil:
    """Of their lines, and the empty one that ends the head."""
    cdef uint32_t length = 2
    cdef const Extra *extra = edits.extras
    cdef uint32_t index
    for index in range(edits.extra_count):
        length += extra[index].name_length + extra[index].value_length + 4
    return length


cdef void header_case_title(char *head, uint32_t length, const HeadEdits *edits, bint whole) noexcept nogil:
    cdef char *end = head + length
    cdef char *line = next_line(head, end) if whole else end - length_of_extras(edits)
    while line + 2 < end:
        line = next_line(title_name(line, end), end)
