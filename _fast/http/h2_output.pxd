"""Frames on their way out: appended to buffers, taken by the owner all at once, in one system call a turn of the loop.

Nothing waits for anything here: what is in the output has been paid for (windows) and encoded (HPACK, whose order is
the order of the wire). Without memory a connection fails: `h2_out_room` is NULL and H2C_FAILED set.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.h2_types cimport H2Connection

# Room for so many bytes in one piece; h2_out_used tells how many of them were written
cdef char *h2_out_room(H2Connection *c, uint32_t length) noexcept nogil
cdef void h2_out_reset(H2Connection *c, uint32_t stream, uint32_t error) noexcept nogil
cdef void h2_out_window(H2Connection *c, uint32_t stream, uint32_t increment) noexcept nogil
cdef void h2_out_ping(H2Connection *c, bint ack, const char *opaque) noexcept nogil
cdef void h2_out_goaway(H2Connection *c, uint32_t last_stream, uint32_t error) noexcept nogil
cdef void h2_out_settings_ack(H2Connection *c) noexcept nogil
# The octets and settings that a connection begins with (RFC 9113 section 3.4), and what it grants beyond the default
cdef void h2_out_opening(H2Connection *c) noexcept nogil
# The first `bytes` have gone
cdef void h2_out_gone(H2Connection *c, uint32_t bytes) noexcept nogil

cdef inline void h2_out_used(H2Connection *c, uint32_t length) noexcept nogil:
    c.out_last.end += length
    c.out_bytes += length
