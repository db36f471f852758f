"""The value of each operator of the access log, read off an exchange."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.log_line cimport LogLine
from tulle._fast.flow.types cimport Exchange
from tulle._fast.policy.image cimport LogItem

# Known only at the end, and readable without the heads and the table
cdef bint log_value_is_late(uint32_t operator) noexcept nogil
# `item` may be NULL for a late operator
cdef void log_value(LogLine *line, Exchange *x, uint32_t operator, const LogItem *item) noexcept nogil
cdef const char *log_flag_letters(uint32_t flag) noexcept nogil
