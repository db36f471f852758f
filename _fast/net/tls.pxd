"""TLS over a connection: a layer of `conn` that is a session of OpenSSL between two memory BIOs.

    socket -> recv -> received BIO -> SSL_read -> Conn.input         one recv for as many records as have come
    owner's pieces -> SSL_write -> sending BIO -> send               one send for as many records as that makes

Why not `SSL_set_fd`: there every record costs two reads, and one more to see that none follows.

- `pending`: the received BIO or the session may have bytes for the owner. As long as it is set, so is CONN_READABLE,
  for an edge-triggered socket tells of nothing that was read off it already.
- The end of the socket without `close_notify` is CONN_ERROR with EPROTO: somebody may have cut the rest off (RFC 8446
  section 6.1). Where a message says itself where it ends, its reader has stopped before.
- Records are small after a pause, so that the first bytes of an answer need not wait for a whole one to arrive.
- Of handshakes a worker makes a few steps a turn of its loop, and the others wait: connections that are established
  get their turn in between. When there is no place for another, one that stalls can be made to leave.

Called by: `flow`, which begins sessions; all else by way of `conn`. RFC 8446, 5246; RFC 6125 for the names of servers.
"""
from tulle._fast.base.list cimport Node
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.net.conn cimport Conn, Layer
from tulle._fast.net.tls_context cimport TlsEngine, TlsSet
from tulle._fast.net.tls_library cimport BIO, SSL, SSL_SESSION

cdef enum TlsFailure:                  # why a handshake failed; rows of counters
    TLS_FAILED_NOT = 0
    TLS_FAILED_CERTIFICATE             # the peer's does not lead to a root that is trusted, or is out of its time
    TLS_FAILED_NO_CERTIFICATE          # the client has none
    TLS_FAILED_NAME                    # the server's is of somebody else
    TLS_FAILED_PROTOCOL                # no version or cipher in common, or not TLS at all
    TLS_FAILED_ALERT                   # the peer has refused us
    TLS_FAILED_CLOSED                  # the peer has left
    TLS_FAILED_TIMEOUT
    TLS_FAILED_PLAIN                   # plain HTTP
    TLS_FAILED_DISPLACED               # its place was given to another client

cdef enum TlsAlpn:
    TLS_ALPN_NONE = 0                  # the peer did not ask, or nothing in common
    TLS_ALPN_HTTP1
    TLS_ALPN_H2

cdef enum TlsOffer:                    # of the protocols of a set, by ALPN
    TLS_OFFER_ALL = 0
    TLS_OFFER_HTTP1                    # HTTP/1.1 alone
    TLS_OFFER_NONE

cdef struct TlsSession:
    Layer layer                        # first
    Node node                          # in TlsEngine.silent or .unfinished, as long as a client's handshake lasts
    Conn *conn
    TlsEngine *engine
    TlsSet *tls_set
    SSL *ssl
    BIO *received
    BIO *sending
    char *principal                    # who the client is; NULL: it has shown no certificate
    uint32_t principal_length
    uint32_t forwarded_length
    char *forwarded                    # what x-forwarded-client-cert says of it; NULL: it has none, or nobody asks
    uint32_t greeting                  # bytes received in the handshake
    uint64_t started                   # monotonic ns
    uint64_t wrote                     # when, likewise
    uint32_t written                   # since the last pause
    uint8_t side                       # TlsSide
    uint8_t alpn                       # TlsAlpn
    uint8_t failure                    # TlsFailure
    uint8_t begun
    uint8_t pending
    uint8_t raw_ended                  # the peer's FIN has been read off the socket
    uint8_t ended                      # `close_notify` has come
    uint8_t grown                      # the BIOs hold on to much memory
    uint8_t reused                     # an earlier session was resumed
    const char *detail                 # why it failed, in words; lives for ever

cdef void tls_install(TlsEngine *engine) noexcept nogil
# A connection that was just accepted, or that `flow` is about to connect, gets a session: the handshake begins with the
# next event and ends with `ConnOps.connected`, whose error is EPROTO when it failed. -1: no memory
cdef int tls_accept(TlsEngine *engine, Conn *conn, TlsSet *tls_set) noexcept nogil
cdef int tls_connect(
    TlsEngine *engine, Conn *conn, TlsSet *tls_set, SSL_SESSION *resumed, int offer
) noexcept nogil
# Ends a client's handshake, so that another has its place: of those that have had the least time that is due to any,
# the oldest, and before others one that has not sent a byte. False: there is none
cdef bint tls_displace(TlsEngine *engine, uint64_t now) noexcept nogil
# The handshake has taken too long: note it as the failure; the caller closes
cdef void tls_timed_out(Conn *conn) noexcept nogil
# The peer has not agreed to the one protocol that was offered: note it as the failure; the caller closes
cdef void tls_not_agreed(Conn *conn, const char *detail) noexcept nogil
# The layer goes, the socket stays: for a peer that does not speak TLS
cdef void tls_drop(Conn *conn) noexcept nogil
# A reference to the session that may be resumed with the same host, or NULL when there is none yet
cdef SSL_SESSION *tls_session_take(Conn *conn) noexcept nogil

# The name that the client has asked for (SNI), which may be of any bytes; NULL: none. Lives as long as the layer
cdef const char *tls_server_name(const Conn *conn) noexcept nogil

cdef inline TlsSession *tls_of(const Conn *conn) noexcept nogil:
    return <TlsSession *>conn.tls

cdef inline int conn_alpn(const Conn *conn) noexcept nogil:
    """What both have agreed to speak, a TlsAlpn, known once `connected` was called."""
    return tls_of(conn).alpn if conn.tls != NULL else TLS_ALPN_NONE
