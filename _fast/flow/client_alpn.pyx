"""See `client_alpn.pxd`."""
from tulle._fast.base.list cimport Node, list_append, list_empty, list_init, list_remove
from tulle._fast.base.slab cimport slab_put
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.flow.attempt cimport attempt_again
from tulle._fast.flow.client_h1 cimport client_close, client_connected
from tulle._fast.flow.types cimport Attempt
from tulle._fast.net.tls cimport TLS_ALPN_H2, conn_alpn, tls_not_agreed
from tulle._fast.policy.image cimport CLUSTER_HTTP2


cdef inline Attempt *attempt_of(Node *node) noexcept nogil:
    cdef Attempt *null = NULL
    return <Attempt *>(<char *>node - <size_t>&null.waiting)


cdef int client_alpn_verdict(Upstream *upstream) noexcept nogil:
    cdef Host *host = upstream.host
    if likely(upstream.conn.tls == NULL):
        return ALPN_SHARED
    if conn_alpn(&upstream.conn) == TLS_ALPN_H2:
        host.alpn = TLS_ALPN_H2
        return ALPN_SHARED
    host.alpn = TLS_ALPN_HTTP1         # whether it says so or knows no ALPN
    if host.cluster.config.protocol != CLUSTER_HTTP2:
        return ALPN_ALONE
    tls_not_agreed(&upstream.conn, b"the endpoint has not agreed to HTTP/2 (ALPN)")
    return ALPN_REFUSED


cdef void client_alpn_alone(ClientH2 *h2) noexcept nogil:
    cdef Upstream *upstream = h2.upstream
    cdef Attempt *attempt
    cdef Attempt *first = NULL
    cdef Node others
    list_init(&others)
    while not list_empty(&h2.waiting):
        attempt = attempt_of(h2.waiting.next)
        list_remove(&attempt.waiting)
        attempt.ops = &upstream.worker.client_ops
        attempt.upstream = NULL
        if first == NULL:
            first = attempt
        else:
            list_append(&others, &attempt.waiting)
    list_remove(&h2.node)
    upstream.h2 = NULL
    upstream.conn.ops = &upstream.worker.client_conn
    slab_put(&upstream.worker.h2_clients_slab, h2)
    if unlikely(first == NULL):
        client_close(upstream)         # they have all left
        return
    first.upstream = upstream
    upstream.attempt = first
    client_connected(&upstream.conn, 0)
    while not list_empty(&others):
        attempt = attempt_of(others.next)
        list_remove(&attempt.waiting)
        attempt_again(attempt)
