"""How a connection begins where its listener asks for more than its own bytes: who it is from, and what it speaks.

    accepted -> HEADER -> DETECT -> [TLS -> DETECT_INSIDE] -> server_h1 | server_tcp

HEADER: a PROXY header (`http/proxy_header`) names the client, whose address is from then on that of the connection: for
log, x-forwarded-for, limits, authorization and hashing. Only of peers in the listener's `sources` is one read. It comes
before all else, TLS too. DETECT: the first bytes are looked at and left where they are (`http/detection`), until they
tell a protocol, or nothing has come for the listener's time of silence, or that of the port: then the server is the one
that speaks first. Once a byte has come that may be the beginning of something, there is the time that a request head
has. Without TLS of the listener's own, a ClientHello is passed on, like any other bytes.

The bytes in the open are only peeked at: what is not read is still there for TLS, or for whoever takes over.
Bounded: PROXY_HEADER_MAX and DETECTION_BYTES, on the stack. Called by `listener`.
"""
from tulle._fast.flow.types cimport Server, Table, Worker
from tulle._fast.policy.image cimport ListenerEntry

cdef enum GreetingStage:
    GREETING_OVER = 0
    GREETING_HEADER
    GREETING_DETECT
    GREETING_TLS                       # the handshake
    GREETING_INSIDE                    # as GREETING_DETECT, within TLS

cdef enum ProxyOutcome:                # what came of a PROXY header; rows of counters
    PROXY_HEADER_ACCEPTED = 0
    PROXY_HEADER_ABSENT                # there was none, and none was required
    PROXY_HEADER_MISSING
    PROXY_HEADER_MALFORMED
    PROXY_HEADER_UNTRUSTED             # of a peer that may send none, where one is required
    PROXY_HEADER_LATE

cdef void greeting_install(Worker *worker) noexcept nogil
# A connection that was just accepted; it may be closed by this
cdef void greeting_begin(Server *server, const ListenerEntry *listener, Table *table) noexcept nogil
