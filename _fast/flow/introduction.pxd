"""The PROXY header that connections to a cluster begin with: whom this connection is for.

It is queued while the connection is being made, so that it is the first that goes out: before the head of a request,
and before the ClientHello of TLS. A connection that carries one speaks for one client connection from there on, and is
taken from the pool only for requests of that (`introduction_of`, as Envoy and HAProxy have it); what a waiter would get
of another client's is closed instead. Who has no IP address, and a copy of a request, is introduced as nobody: UNKNOWN
in version 1, LOCAL in version 2.

Called by `client_h1` (connect) and `pool`.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Attempt, Upstream

# Names the client's connection, under a key of this proxy's own; never 0
cdef uint64_t introduction_of(const Attempt *attempt) noexcept nogil
# Of a connection that is being made, whose cluster wants one
cdef void introduction_queue(Upstream *upstream, Attempt *attempt) noexcept nogil
