"""See `upstream.pxd`."""
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tulle._fast.base.hash cimport hash_bytes
from tulle._fast.base.idmap cimport idmap_find, idmap_place
from tulle._fast.base.list cimport Node, list_append, list_empty, list_init, list_remove
from tulle._fast.base.random cimport random_split
from tulle._fast.base.shared cimport (
    ClusterStats, EndpointStats, adaptive_state_take, cluster_state_take, endpoint_health_take, lane_cluster,
    lane_endpoint, shared_cluster_lines,
)
from tulle._fast.base.types cimport likely, uint64_t
from tulle._fast.flow.pick cimport cluster_look
from tulle._fast.flow.table cimport table_tls
from tulle._fast.flow.types cimport HOST_TEXT, Upstream
from tulle._fast.flow.warm_up cimport warm_up_joined
from tulle._fast.net.system cimport AF_INET, sockaddr_in
from tulle._fast.net.tls_context cimport TlsSet, tls_set_ref, tls_set_unref
from tulle._fast.policy.balancer cimport HostLoad
from tulle._fast.policy.host_groups cimport host_groups_free, host_groups_make
from tulle._fast.policy.image cimport (
    ClusterEntry, EndpointEntry, EndpointList, image_at, image_cluster, image_endpoints, image_text,
)


cdef inline uint64_t hash_finish64(uint64_t state) noexcept nogil:
    """All bits of it depend on all bits of the state."""
    return random_split(&state)


cdef inline Upstream *upstream_of_idle(Node *node) noexcept nogil:
    cdef Upstream *null = NULL
    return <Upstream *>(<char *>node - <size_t>&null.node)


# -- hosts ------------------------------------------------------------------------------------------------------------

cdef void host_ref(Host *host) noexcept nogil:
    host.attempts += 1


cdef void meant_unlink(Host *host) noexcept nogil:
    cdef Host **place = &host.cluster.meant[host.meant_bucket]
    while place[0] != host:
        place = &place[0].next_meant
    place[0] = host.next_meant


cdef void host_sweep(Host *host) noexcept nogil:
    cdef void **place
    if host.listed or host.attempts > 0 or host.connections > 0:
        return
    place = idmap_place(&host.cluster.worker.hosts, host.slot)
    if place != NULL and place[0] == host:
        place[0] = NULL
    list_remove(&host.node)
    if host.meant:
        meant_unlink(host)
    if host.session != NULL:
        host.cluster.worker.tls.library.SSL_SESSION_free(host.session)
    free(host)


cdef void host_unref(Host *host) noexcept nogil:
    host.attempts -= 1
    if not host.listed:
        host_sweep(host)


cdef void host_begin(Host *host) noexcept nogil:
    host.attempts += 1
    host.requests += 1
    host.stats.requests_active += 1
    host.load.active += 1


cdef void host_end(Host *host) noexcept nogil:
    host.requests -= 1
    host.stats.requests_active -= 1
    host.load.active -= 1
    host_unref(host)


cdef void endpoint_stats_take(EndpointStats *stats, uint32_t generation) noexcept nogil:
    """Counts begin anew with a new owner of the slot; what the last one still occupies is uncounted when it ends."""
    cdef EndpointStats old = stats[0]
    memset(stats, 0, sizeof(EndpointStats))
    stats.generation = generation
    stats.requests_active = old.requests_active
    stats.connections_active = old.connections_active
    stats.connections_idle = old.connections_idle


cdef Host *host_use(Cluster *cluster, const void *segment, const EndpointEntry *entry) noexcept nogil:
    cdef Worker *worker = cluster.worker
    cdef void **place
    cdef Host *host
    if entry.slot >= worker.shared.endpoint_capacity:
        return NULL
    place = idmap_place(&worker.hosts, entry.slot)
    if place == NULL:
        return NULL
    host = <Host *>place[0]
    if host != NULL and host.generation == entry.generation:
        return host
    host = <Host *>calloc(1, sizeof(Host))
    if host == NULL:
        return NULL
    host.cluster = cluster
    host.slot = entry.slot
    host.generation = entry.generation
    host.address_length = <uint32_t>entry.address_length
    memcpy(host.address, entry.address, entry.address_length)
    host.load.key = hash_finish64(hash_bytes(0, image_text(segment, entry.address_text), entry.address_text.length))
    host.token = hash_finish64(host.load.key ^ cluster.name_hash) | 1
    host.text_length = entry.address_text.length if entry.address_text.length < HOST_TEXT else HOST_TEXT
    memcpy(host.text, image_text(segment, entry.address_text), host.text_length)
    host.stats = lane_endpoint(worker.lane, entry.slot)
    host.health = endpoint_health_take(worker.shared, entry.slot, entry.generation)
    host.well = True
    host.anywhere = (<const sockaddr_in *>host.address).sin_family == AF_INET and (
        (<const sockaddr_in *>host.address).sin_port == 0
    )
    if cluster.endpoints_known:
        warm_up_joined(host)
    if host.stats.generation != entry.generation:
        endpoint_stats_take(host.stats, entry.generation)
    list_init(&host.idle)
    list_init(&host.shared)
    list_append(&cluster.all_hosts, &host.node)
    # A predecessor in the slot lives on in its cluster's list until its connections are gone
    place[0] = host
    return host


# -- clusters ---------------------------------------------------------------------------------------------------------

cdef bint cluster_take_endpoints(Cluster *cluster, const void *segment, const EndpointList *listed) noexcept nogil:
    """Follow a new endpoint list: O(its length), once per change and worker, and only for clusters in use."""
    cdef uint32_t count = listed.count
    cdef Host **hosts = <Host **>calloc(count + 1, sizeof(void *))
    cdef HostLoad **loads = <HostLoad **>calloc(count + 1, sizeof(void *))
    cdef const EndpointEntry *entries = <const EndpointEntry *>image_at(segment, listed.offset)
    cdef Host *host
    cdef Node *node
    cdef Node *following
    cdef uint32_t index, taken = 0
    cdef bint made = False
    if hosts != NULL and loads != NULL:
        for index in range(count):
            host = host_use(cluster, segment, &entries[index])
            if host != NULL:
                hosts[taken] = host
                loads[index] = &host.load
                taken += 1
        made = host_groups_make(&cluster.groups, segment, listed, loads, &cluster.worker.random)
    free(loads)
    if not made:
        free(hosts)
        return False
    node = cluster.all_hosts.next
    while node != &cluster.all_hosts:
        (<Host *>node).listed = False
        node = node.next
    for index in range(taken):
        hosts[index].listed = True
    free(cluster.hosts)
    free(cluster.tokens)
    cluster.tokens = NULL
    cluster.hosts = hosts
    cluster.host_count = taken
    cluster_look(cluster)
    cluster.endpoints_hash = listed.hash
    cluster.endpoints_known = True
    node = cluster.all_hosts.next
    while node != &cluster.all_hosts:
        following = node.next
        host = <Host *>node
        if not host.listed:
            cluster_close_idle(host)
            host_sweep(host)
        node = following
    return True


cdef void cluster_close_idle(Host *host) noexcept nogil:
    cdef Worker *worker = host.cluster.worker
    host.attempts += 1
    while host.idle_count > 0:
        worker.hooks.close_idle(upstream_of_idle(host.idle.next))
    host.attempts -= 1


cdef Cluster *cluster_make(Worker *worker, const void *image, const ClusterEntry *entry) noexcept nogil:
    cdef Cluster *cluster = <Cluster *>calloc(1, sizeof(Cluster))
    cdef uint32_t active
    if cluster == NULL:
        return NULL
    cluster.worker = worker
    cluster.slot = entry.slot
    cluster.generation = entry.generation
    cluster.name_hash = hash_bytes(0, image_text(image, entry.name), entry.name.length)
    cluster.lines = shared_cluster_lines(worker.shared, entry.slot)
    cluster.stats = lane_cluster(worker.lane, entry.slot)
    cluster.state = cluster_state_take(worker.shared, entry.slot, entry.generation)
    if cluster.stats.generation != entry.generation:
        active = cluster.stats.requests_active
        memset(cluster.stats, 0, sizeof(ClusterStats))
        cluster.stats.generation = entry.generation
        cluster.stats.requests_active = active
    list_init(&cluster.all_hosts)
    list_init(&cluster.waiters)
    list_append(&worker.all_clusters, &cluster.node)
    return cluster


cdef void cluster_take_tls(Cluster *cluster, TlsSet *tls_set) noexcept nogil:
    """New connections use it. The pools keep those that were made in the same trust: see `pool`."""
    cdef TlsSet *old = cluster.tls
    cluster.tls = tls_set_ref(tls_set) if tls_set != NULL else NULL
    if old != NULL:
        tls_set_unref(old)


cdef Cluster *cluster_use(Worker *worker, Table *table, uint32_t index) noexcept nogil:
    cdef const ClusterEntry *entry = image_cluster(table.image, index)
    cdef const EndpointList *listed = image_endpoints(table.endpoints, index)
    cdef Cluster *cluster = <Cluster *>idmap_find(&worker.clusters, entry.slot)
    cdef void **place
    if cluster == NULL or cluster.generation != entry.generation:
        if entry.slot >= worker.shared.cluster_capacity:
            return NULL
        place = idmap_place(&worker.clusters, entry.slot)
        if place == NULL:
            return NULL
        cluster = cluster_make(worker, table.image, entry)
        if cluster == NULL:
            return NULL
        place[0] = cluster
    if cluster.config_version < table.version or cluster.config_version == 0:
        cluster.config = entry[0]
        cluster_take_tls(cluster, table_tls(table, entry.tls))
        cluster.config_version = table.version
        cluster.look_at = 0
        if cluster.config.adaptive.enabled and cluster.adaptive == NULL:
            cluster.adaptive = adaptive_state_take(worker.shared, cluster.slot, cluster.generation)
    if not likely(cluster.endpoints_known and cluster.endpoints_hash == listed.hash):
        # An exchange under an older table does not turn the list back
        if table == worker.table or not cluster.endpoints_known:
            if not cluster_take_endpoints(cluster, table.endpoints, listed):
                return NULL
    return cluster


cdef void clusters_mark(Worker *worker) noexcept nogil:
    """Note for each cluster in use that the current table still has it."""
    cdef Table *table = worker.table
    cdef const ClusterEntry *entry
    cdef Cluster *cluster
    cdef uint32_t index
    for index in range(table.image.clusters.count):
        entry = image_cluster(table.image, index)
        cluster = <Cluster *>idmap_find(&worker.clusters, entry.slot)
        if cluster != NULL and cluster.generation == entry.generation:
            cluster.seen_version = table.version


cdef bint cluster_retire(Cluster *cluster) noexcept nogil:
    """Close what is idle; free the cluster once no exchange and no host is left. False: not yet."""
    cdef Worker *worker = cluster.worker
    cdef void **place
    cdef Node *node = cluster.all_hosts.next
    cdef Host *host
    cluster.endpoints_known = False
    host_groups_free(&cluster.groups)
    cluster.host_count = 0
    free(cluster.tokens)
    cluster.tokens = NULL
    while node != &cluster.all_hosts:
        host = <Host *>node
        node = node.next
        host.listed = False
        cluster_close_idle(host)
        host_sweep(host)
    if cluster.exchanges > 0 or not list_empty(&cluster.all_hosts):
        return False
    place = idmap_place(&worker.clusters, cluster.slot)
    if place != NULL and place[0] == cluster:
        place[0] = NULL
    list_remove(&cluster.node)
    free(cluster.hosts)
    free(cluster.tokens)
    free(cluster.meant)
    free(cluster.recent)
    cluster_take_tls(cluster, NULL)
    free(cluster)
    return True


cdef void clusters_sweep(Worker *worker) noexcept nogil:
    cdef Node *node = worker.all_clusters.next
    cdef Cluster *cluster
    cdef bint left = False
    if worker.table == NULL or worker.swept_version == worker.table.version:
        return
    clusters_mark(worker)
    while node != &worker.all_clusters:
        cluster = <Cluster *>node
        node = node.next
        # One that an exchange under an older table still uses stays whole: the exchange may try again
        if cluster.seen_version != worker.table.version:
            if cluster.exchanges > 0 or not cluster_retire(cluster):
                left = True
    if not left:
        worker.swept_version = worker.table.version
