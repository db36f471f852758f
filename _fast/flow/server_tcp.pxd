"""The side of a raw connection: its bytes are forwarded as they are, and it is one exchange from accept to the end.

    accepted -> (handshake | naming) -> exchange -> closed

A connection is routed as soon as it is there, for its server may be the one that speaks first; where TLS ends here, as
soon as the handshake is over. Only where routes go by host name, and TLS is passed on, the first bytes are waited for:
the name in a TLS ClientHello (`http/client_hello`) is the host that the route is looked up by, and whatever begins
otherwise, or says nothing in time, has no host. The name that a handshake was made with is a host likewise. An exchange
of this kind (X_RAW) has a request without path, method or fields; from the moment that its upstream is connected it is
a tunnel. What would be an answer of ours is a reset: nobody must take it for an orderly end. Called by `listener`.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Server, Worker
from tulle._fast.net.conn cimport Conn
from tulle._fast.policy.image cimport Image, ListenerEntry

cdef void tcp_server_install(Worker *worker) noexcept nogil
# An accepted connection to a listener of raw connections; `image` is the one that has the entry
cdef void tcp_begin(Server *server, const Image *image, const ListenerEntry *listener) noexcept nogil
# One that begins with a handshake or with a ClientHello, whose name is waited for; and one that says none to us
cdef void tcp_begin_named(Server *server) noexcept nogil
cdef void tcp_begin_unnamed(Server *server) noexcept nogil

# What its kind with TLS does alike, see tcp_secure
cdef void tcp_input(Conn *conn) noexcept nogil
cdef void tcp_timeout(Conn *conn, uint64_t now) noexcept nogil
