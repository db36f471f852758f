"""One request on a connection that is shared: to frames, and from frames to the exchange; behind `ClientOps`.

An HTTP/1 request becomes pseudo-fields and fields (RFC 9113 section 8.3.1): Host is `:authority`, what belongs to one
connection is left out, the length stays. An answer's head goes on with the first bytes of its body, or at the end of
the loop's turn if there are none by then. Body bytes that the client does not take stay with the stream, and the host
gets no window for more.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.client_h2 cimport ClientH2, ClientStream
from tulle._fast.flow.types cimport Attempt, Worker
from tulle._fast.http.h2_types cimport H2Event

cdef void call_head(ClientH2 *h2, const H2Event *event) noexcept nogil
cdef void call_body(ClientH2 *h2, const H2Event *event) noexcept nogil
cdef void call_trailers(ClientH2 *h2, const H2Event *event) noexcept nogil
# Reset by the host, or by us for what the host did
cdef void call_closed(ClientH2 *h2, const H2Event *event) noexcept nogil
# What has come goes on to the exchange, as far as that takes it
cdef void call_deliver(Attempt *attempt) noexcept nogil
# What is left of a request on its connection goes; attempt.upstream is NULL then
cdef void stream_let_go(Attempt *attempt, uint32_t error) noexcept nogil
cdef void call_ops_install(Worker *worker) noexcept nogil
