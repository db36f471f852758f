"""See `interception.pxd`. Called by the listener (learn), the server sides, the exchange and the attempt."""
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc
from libc.string cimport memcmp, memcpy

from tulle._fast.base.hash cimport hash_bytes, hash_finish
from tulle._fast.base.list cimport list_append, list_init
from tulle._fast.base.types cimport uint16_t
from tulle._fast.flow.types cimport Cluster
from tulle._fast.flow.upstream cimport host_sweep
from tulle._fast.net.address cimport ADDRESS_TEXT, address_text
from tulle._fast.net.system cimport (
    AF_INET, AF_INET6, getsockname, getsockopt, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t,
)
from tulle._fast.policy.image cimport TableEntry, image_at
from tulle._fast.policy.route cimport route_has_host

cdef enum:
    ORIGINAL_DESTINATION = 80          # SO_ORIGINAL_DST, and the same number for IPv6
    LEVEL_IPV4 = 0                     # SOL_IP
    LEVEL_IPV6 = 41                    # SOL_IPV6


cdef bint is_same_place(const void *left, const void *right) noexcept nogil:
    """Address and port; IPv6's scope and flow label do not matter."""
    cdef const sockaddr_in *left4 = <const sockaddr_in *>left
    cdef const sockaddr_in *right4 = <const sockaddr_in *>right
    cdef const sockaddr_in6 *left6 = <const sockaddr_in6 *>left
    cdef const sockaddr_in6 *right6 = <const sockaddr_in6 *>right
    if left4.sin_family != right4.sin_family or left4.sin_port != right4.sin_port:
        return False
    if left4.sin_family == AF_INET:
        return memcmp(&left4.sin_addr, &right4.sin_addr, 4) == 0
    return memcmp(&left6.sin6_addr, &right6.sin6_addr, 16) == 0


cdef void interception_learn(Server *server) noexcept nogil:
    cdef sockaddr_storage own, found
    cdef socklen_t own_length = sizeof(own)
    cdef socklen_t length = sizeof(found)
    cdef int fd = server.conn.watch.fd
    cdef int level
    cdef Meant *meant
    if getsockname(fd, <sockaddr *>&own, &own_length) < 0:
        return
    if own.ss_family != AF_INET and own.ss_family != AF_INET6:
        return
    level = LEVEL_IPV4 if own.ss_family == AF_INET else LEVEL_IPV6
    if getsockopt(fd, level, ORIGINAL_DESTINATION, &found, &length) < 0:
        return
    if found.ss_family != own.ss_family or is_same_place(&own, &found):
        return
    meant = <Meant *>calloc(1, sizeof(Meant))
    if meant == NULL:
        return
    # The kernel does not say how much it has written
    meant.length = sizeof(sockaddr_in) if own.ss_family == AF_INET else sizeof(sockaddr_in6)
    memcpy(meant.address, &found, meant.length)
    server.meant = meant


cdef uint32_t interception_text(const Meant *meant, char *text) noexcept nogil:
    cdef char host[ADDRESS_TEXT]
    cdef uint16_t port = 0
    if meant == NULL:
        return 0
    address_text(meant.address, meant.length, host, &port)
    if (<const sockaddr *>meant.address).sa_family == AF_INET6:
        return <uint32_t>snprintf(text, MEANT_TEXT, b"[%s]:%u", host, <unsigned int>port)
    return <uint32_t>snprintf(text, MEANT_TEXT, b"%s:%u", host, <unsigned int>port)


cdef inline uint32_t destination_of(
    const Meant *meant, const Image *image, const ListenerEntry *listener, char *text
) noexcept nogil:
    """As text, if routes of the listener name it; else 0."""
    cdef uint32_t length = interception_text(meant, text)
    if length == 0:
        return 0
    return length if route_has_host(image, <const TableEntry *>image_at(image, listener.table), text, length) else 0


cdef bint interception_routed(Server *server, const Image *image, const ListenerEntry *listener) noexcept nogil:
    cdef char text[MEANT_TEXT]
    return destination_of(server.meant, image, listener, text) != 0


cdef void interception_name(Exchange *x, RouteQuery *query, char *text) noexcept nogil:
    cdef uint32_t length = destination_of(x.server_ops.meant(x), x.table.image, x.listener, text)
    if length != 0:
        query.host = text
        query.host_length = length


# -- hosts ------------------------------------------------------------------------------------------------------------

cdef inline uint32_t bucket_of(const char *address, uint32_t length) noexcept nogil:
    return hash_finish(hash_bytes(0, address, length)) % MEANT_BUCKETS


cdef Host *host_find(Host **bucket, const Meant *meant) noexcept nogil:
    """Frees on its way those that nothing uses."""
    cdef Host *host = bucket[0]
    cdef Host *following
    cdef Host *found = NULL
    while host != NULL:
        following = host.next_meant
        if host.address_length == meant.length and memcmp(host.address, meant.address, meant.length) == 0:
            found = host
        elif host.attempts == 0 and host.connections == 0:
            host.listed = False
            host_sweep(host)
        host = following
    return found


cdef Host *host_make(Host *placeholder, const Meant *meant) noexcept nogil:
    cdef Cluster *cluster = placeholder.cluster
    cdef Host *host = <Host *>calloc(1, sizeof(Host))
    cdef char text[MEANT_TEXT]
    if host == NULL:
        return NULL
    host.cluster = cluster
    host.slot = placeholder.slot
    host.generation = placeholder.generation
    host.stats = placeholder.stats
    host.health = placeholder.health
    host.load.key = placeholder.load.key
    host.token = placeholder.token
    host.well = True
    host.listed = True
    host.meant = True
    host.address_length = <uint16_t>meant.length
    memcpy(host.address, meant.address, meant.length)
    host.text_length = <uint16_t>interception_text(meant, text)
    memcpy(host.text, text, host.text_length)
    list_init(&host.idle)
    list_init(&host.shared)
    list_append(&cluster.all_hosts, &host.node)
    return host


cdef Host *interception_host(Exchange *x, Host *placeholder) noexcept nogil:
    cdef const Meant *meant = x.server_ops.meant(x)
    cdef Cluster *cluster = placeholder.cluster
    cdef uint32_t bucket
    cdef Host *host
    if meant == NULL:
        return NULL
    if cluster.meant == NULL:
        cluster.meant = <Host **>calloc(MEANT_BUCKETS, sizeof(void *))
        if cluster.meant == NULL:
            return NULL
    bucket = bucket_of(meant.address, meant.length)
    host = host_find(&cluster.meant[bucket], meant)
    if host != NULL:
        host.listed = True
        return host
    host = host_make(placeholder, meant)
    if host != NULL:
        host.meant_bucket = bucket
        host.next_meant = cluster.meant[bucket]
        cluster.meant[bucket] = host
    return host
