"""Receive windows (RFC 9113 sections 5.2 and 6.9): what the peer may send, given back as bytes are taken, and grown.

Bytes count from when they come until the owner has taken them, so what a connection holds of bodies is at most its
window. Windows are as large as the path needs and no larger: with DATA a PING is sent along, and what comes in until
its answer is what the path carries in a round trip. Where that comes near to the window, the window doubles.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.h2_types cimport H2Connection, H2Stream

# DATA of that payload, padding and all, has come on a stream of ours (or NULL): an H2Error for the connection, minus
# one for the stream, or 0
cdef int h2_window_charge(H2Connection *c, H2Stream *s, uint32_t length) noexcept nogil
# So many bytes of it are needed no longer; `s` may be NULL
cdef void h2_window_return(H2Connection *c, H2Stream *s, uint32_t length) noexcept nogil
# A PING was answered; False when it was not the probe
cdef bint h2_window_probed(H2Connection *c, const char *opaque) noexcept nogil
