"""Which upgrades may be asked of a backend (RFC 9110 section 7.8), once a request that asks for one is routed; and the
answer to one of WebSocket that came about in HTTP/2.

Not those to another HTTP: the requests in such a tunnel would pass by routes and policies. Not those of a request
with a body: a 101 in the middle of it would leave in doubt where the tunnel begins.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Worker
from tulle._fast.http.message cimport Field, Message

cdef bint upgrade_may_pass(const Message *message) noexcept nogil
# Sec-WebSocket-Key, if it may be one (RFC 6455 section 4.1); else NULL
cdef const Field *upgrade_key(const Message *request) noexcept nogil
# What tells the client that its WebSocket begins (section 4.2.2), but the status; `text` has room for WEBSOCKET_ACCEPT
cdef void upgrade_accept(Worker *worker, const Message *request, char *text, uint32_t *count) noexcept nogil
