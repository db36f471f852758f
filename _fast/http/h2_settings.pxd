"""The peer's SETTINGS (RFC 9113 section 6.5): judged, applied in order, acknowledged."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.h2_types cimport H2Connection

# Of a payload that is whole: 0, or the H2Error of the connection
cdef int h2_settings_take(H2Connection *c, const char *payload, uint32_t length) noexcept nogil
cdef void h2_settings_acknowledged(H2Connection *c) noexcept nogil
