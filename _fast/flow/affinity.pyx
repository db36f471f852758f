"""See `affinity.pxd`."""
from libc.stdlib cimport calloc

from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.cookies cimport cookie_number, cookie_set
from tulle._fast.flow.types cimport X_ANSWER_FIELDS
from tulle._fast.http.cookie cimport cookie_find
from tulle._fast.policy.balancer cimport HOST_UP
from tulle._fast.policy.hash_policy cimport HashItem
from tulle._fast.policy.image cimport image_at, image_text


cdef bint tokens_make(Cluster *cluster) noexcept nogil:
    """A table of indexes plus one into the hosts, at most half full, by token."""
    cdef uint32_t size = 2
    cdef uint32_t index, slot
    while size < 2 * cluster.host_count:
        size *= 2
    cluster.tokens = <uint32_t *>calloc(size, sizeof(uint32_t))
    if cluster.tokens == NULL:
        return False
    cluster.token_mask = size - 1
    for index in range(cluster.host_count):
        slot = <uint32_t>cluster.hosts[index].token & cluster.token_mask
        while cluster.tokens[slot] != 0:
            slot = (slot + 1) & cluster.token_mask
        cluster.tokens[slot] = index + 1
    return True


cdef Host *host_of_token(Cluster *cluster, uint64_t token) noexcept nogil:
    cdef uint32_t slot
    cdef Host *host
    if cluster.tokens == NULL and not tokens_make(cluster):
        return NULL
    slot = <uint32_t>token & cluster.token_mask
    while cluster.tokens[slot] != 0:
        host = cluster.hosts[cluster.tokens[slot] - 1]
        if host.token == token:
            return host
        slot = (slot + 1) & cluster.token_mask
    return NULL


cdef inline const HashItem *affinity_cookie(const Exchange *x) noexcept nogil:
    return <const HashItem *>image_at(x.table.image, x.settings.affinity.offset)


cdef Host *affinity_host(Cluster *cluster, Exchange *x) noexcept nogil:
    cdef const HashItem *item
    cdef const char *value = NULL
    cdef uint32_t length = 0
    cdef uint32_t index
    cdef Host *host
    if x.settings == NULL or x.settings.affinity.count == 0:
        return NULL
    item = affinity_cookie(x)
    x.flags |= X_ANSWER_FIELDS
    if not cookie_find(x.request, image_text(x.table.image, item.name), item.name.length, &value, &length):
        return NULL
    x.affinity = cookie_number(value, length)
    host = host_of_token(cluster, x.affinity)
    if host == NULL or host.load.available != HOST_UP:
        return NULL
    for index in range(x.tried_count):
        if x.tried[index] == host:
            return NULL
    return host


cdef void affinity_field(Exchange *x, uint32_t *count) noexcept nogil:
    if x.settings == NULL or x.settings.affinity.count == 0 or x.answered_by == NULL:
        return
    if x.answered_by.token != x.affinity:
        cookie_set(x, affinity_cookie(x), x.answered_by.token, 1, count)
