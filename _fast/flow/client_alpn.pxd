"""Which protocol a connection to a host speaks where TLS tells (ALPN: RFC 7301, RFC 9113 section 3.2).

A cluster with `protocol: http2` takes HTTP/2 and nothing else. With `auto` a connection begins as one that is shared,
and who comes meanwhile waits for it. When the host chooses HTTP/1.1, it is of one of them alone; the others get
connections of their own, and so does whoever comes later, until a handshake says otherwise: that is in `Host.alpn`.
Called by `client_h2`.
"""
from tulle._fast.flow.client_h2 cimport ClientH2
from tulle._fast.flow.types cimport Host, Upstream
from tulle._fast.net.tls cimport TLS_ALPN_HTTP1
from tulle._fast.policy.image cimport CLUSTER_AUTO

cdef enum AlpnVerdict:
    ALPN_SHARED = 0                    # HTTP/2
    ALPN_ALONE                         # HTTP/1.1
    ALPN_REFUSED                       # not what it was to be; the session says so

# Of a connection that is there
cdef int client_alpn_verdict(Upstream *upstream) noexcept nogil
# It is one of HTTP/1.1 from now on, and `h2` is gone
cdef void client_alpn_alone(ClientH2 *h2) noexcept nogil

cdef inline bint client_alpn_hopeful(const Host *host) noexcept nogil:
    """Whether a connection that is on its way may come to be shared."""
    return host.cluster.config.protocol != CLUSTER_AUTO or host.alpn != TLS_ALPN_HTTP1
