"""Streams of HTTP/2 from clients as exchanges: what they begin with, and the `ServerOps` that answer them.

The end of an exchange frees its `ServerStream` and the stream; what follows from that for the connection is decided
when its output goes out, which every end asks for. RFC 9113 section 8.
"""
from tulle._fast.flow.server_h2 cimport ServerH2
from tulle._fast.flow.types cimport Worker
from tulle._fast.http.h2_types cimport H2Event

# A request; with H2_REFUSE one that is to be refused
cdef void stream_head(ServerH2 *h2, const H2Event *event) noexcept nogil
# Bytes of a body, or its end
cdef void stream_body(ServerH2 *h2, const H2Event *event) noexcept nogil
cdef void stream_trailers(ServerH2 *h2, const H2Event *event) noexcept nogil
# It was reset, by the client or for a mistake of its
cdef void stream_closed(ServerH2 *h2, const H2Event *event) noexcept nogil
cdef void stream_ops_install(Worker *worker) noexcept nogil
