"""gRPC-Web, for clients that cannot read trailers, browsers above all, to and from gRPC (its PROTOCOL-WEB.md).

A call of the content type `application/grpc-web` or `application/grpc-web-text`, each bare or with a suffix, where the
listener has `grpc_web`. It is a gRPC call with a server side of its own, which stands before that of the connection:
bodies pass through as they are, or as base64 (`-text`), and trailers become the last frame of the body. Of an answer
that is all trailers they stay in the head, where such clients look too.

Called by the exchange when it begins to run, and for the fields of both heads. Not mirrored: a mirror has the
request's own head, and would have another body.
"""
from tulle._fast.base.buf cimport Buf
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.flow.types cimport Exchange, ServerOps

cdef enum:
    WEB_KIND_ROOM = 96                 # bytes of a content type

cdef struct WebCall:
    ServerOps ops                      # first: what `server_ops` of the exchange points to
    const ServerOps *inner             # of the connection
    Buf *buf                           # that this lies in, with room for what is encoded behind it
    Buf *decoded                       # a large piece of a request as text; or NULL
    uint32_t kind_length
    uint8_t text                       # base64
    uint8_t quad_length
    uint8_t quad[4]                    # characters of the request that make no byte yet
    char kind[WEB_KIND_ROOM]           # content type of the answer

# False: without memory; nothing has changed then
cdef bint grpc_web_begin(Exchange *x) noexcept nogil
cdef void grpc_web_request_fields(Exchange *x, uint32_t *count) noexcept nogil
cdef void grpc_web_answer_fields(Exchange *x, uint32_t *count) noexcept nogil
cdef const char *grpc_web_kind(const Exchange *x, uint32_t *length) noexcept nogil
