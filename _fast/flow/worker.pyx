"""See `worker.pxd`. `run` drops the GIL once; no Python object is touched until it returns."""
from libc.stdlib cimport calloc, free, malloc

from tulle._fast.base.buf cimport buf_pool_destroy, buf_pool_init
from tulle._fast.base.clock cimport MILLISECOND, clock_monotonic, clock_wall
from tulle._fast.base.idmap cimport idmap_destroy, idmap_init
from tulle._fast.base.list cimport Node, list_empty, list_init
from tulle._fast.base.random cimport random_next, random_seed
from tulle._fast.base.shared cimport FLAG_DR, LANE_FREE, LANE_RUNNING, LaneHeader, shared_lane, shared_open
from tulle._fast.base.slab cimport Slab, slab_destroy, slab_init, slab_trim
from tulle._fast.base.types cimport uint32_t, uint64_t, unlikely
from tulle._fast.flow.attempt cimport exchange_give_up
from tulle._fast.flow.client_h1 cimport client_install
from tulle._fast.flow.client_h2 cimport ClientH2, ClientStream, client_h2_install
from tulle._fast.flow.client_tcp cimport tcp_client_install
from tulle._fast.flow.control cimport CONTROL_DRAINED
from tulle._fast.flow.exchange cimport exchange_install
from tulle._fast.flow.farewell cimport farewell_all
from tulle._fast.flow.greeting cimport greeting_install
from tulle._fast.flow.mirror cimport mirror_install
from tulle._fast.flow.overload cimport overload_publish
from tulle._fast.flow.server_h1 cimport server_install
from tulle._fast.flow.server_h2 cimport ServerH2, ServerStream, server_h2_install
from tulle._fast.flow.server_tcp cimport tcp_server_install
from tulle._fast.flow.sweeping cimport sweeping_end, sweeping_install
from tulle._fast.flow.tcp_secure cimport tcp_secure_install
from tulle._fast.flow.token_table cimport tokens_destroy
from tulle._fast.flow.types cimport MAX_LANES, Exchange, Mirror, Server, Upstream, Worker
from tulle._fast.flow.upstream cimport clusters_sweep
from tulle._fast.flow.verifier cimport verifier_close, verifier_install
from tulle._fast.flow.worker_control cimport worker_control_open, worker_control_report, worker_control_send
from tulle._fast.http.h2_types cimport H2Stream
from tulle._fast.http.hpack_encode cimport hpack_lookup_init
from tulle._fast.http.message cimport Message
from tulle._fast.net.loop cimport loop_init, loop_turn
from tulle._fast.net.splice cimport splice_pool_destroy
from tulle._fast.net.tls cimport tls_install
from tulle._fast.net.tls_context cimport TLS_DOWNSTREAM, TLS_UPSTREAM, tls_engine_destroy, tls_engine_init

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int PROT_READ, PROT_WRITE, MAP_SHARED
    void *MAP_FAILED

cdef extern from "<unistd.h>" nogil:
    long lseek(int fd, long offset, int whence) noexcept
    int SEEK_END
    int getpid() noexcept
    int gethostname(char *name, size_t size) noexcept

cdef enum:
    SCRATCH_BYTES = 512 * 1024
    SLAB_CHUNK = 64 * 1024
    MESSAGE_CHUNK = 128 * 1024
    H2_CHUNK = 256 * 1024
    REFRESH = 1000                     # milliseconds after which a turn looks at clock offset and gauges anew


cdef void worker_tls_figures(Worker *worker) noexcept nogil:
    """Failures are counted in the order of TlsFailure, from its second on: the first is none."""
    cdef LaneHeader *header = &worker.lane.header
    worker.tls.figures[<int>TLS_DOWNSTREAM].handshakes = &header.tls_downstream_handshakes
    worker.tls.figures[<int>TLS_DOWNSTREAM].resumed = &header.tls_downstream_resumed
    worker.tls.figures[<int>TLS_DOWNSTREAM].failures = &header.tls_downstream_failed_certificate - 1
    worker.tls.figures[<int>TLS_UPSTREAM].handshakes = &header.tls_upstream_handshakes
    worker.tls.figures[<int>TLS_UPSTREAM].resumed = &header.tls_upstream_resumed
    worker.tls.figures[<int>TLS_UPSTREAM].failures = &header.tls_upstream_failed_certificate - 1


cdef int worker_setup(Worker *worker, int shared_fd) noexcept nogil:
    if loop_init(&worker.loop) < 0:
        return -1
    if idmap_init(&worker.clusters) < 0 or idmap_init(&worker.hosts) < 0:
        return -1
    buf_pool_init(&worker.bufs)
    tls_engine_init(&worker.tls)
    tls_install(&worker.tls)
    worker_tls_figures(worker)
    slab_init(&worker.servers_slab, sizeof(Server), SLAB_CHUNK, 0)
    slab_init(&worker.upstreams_slab, sizeof(Upstream), SLAB_CHUNK, 0)
    slab_init(&worker.exchanges_slab, sizeof(Exchange), SLAB_CHUNK, 0)
    slab_init(&worker.messages_slab, sizeof(Message), MESSAGE_CHUNK, 0)
    slab_init(&worker.mirrors_slab, sizeof(Mirror), SLAB_CHUNK, 0)
    slab_init(&worker.h2_servers_slab, sizeof(ServerH2), H2_CHUNK, 0)
    slab_init(&worker.h2_streams_slab, sizeof(H2Stream), SLAB_CHUNK, 0)
    slab_init(&worker.h2_requests_slab, sizeof(ServerStream), SLAB_CHUNK, 0)
    slab_init(&worker.h2_clients_slab, sizeof(ClientH2), H2_CHUNK, 0)
    slab_init(&worker.h2_calls_slab, sizeof(ClientStream), SLAB_CHUNK, 0)
    list_init(&worker.tables)
    list_init(&worker.listeners)
    list_init(&worker.servers)
    list_init(&worker.all_clusters)
    random_seed(&worker.random, clock_wall() ^ (<uint64_t>getpid() << 32) ^ clock_monotonic())
    hpack_lookup_init(&worker.hpack_lookup, random_next(&worker.random))
    worker.scratch_size = SCRATCH_BYTES
    worker.scratch = <char *>malloc(SCRATCH_BYTES)
    if worker.scratch == NULL:
        return -1
    gethostname(worker.hostname, sizeof(worker.hostname) - 1)
    server_install(worker)
    server_h2_install(worker)
    client_install(worker)
    client_h2_install(worker)
    tcp_server_install(worker)
    tcp_client_install(worker)
    tcp_secure_install(worker)
    greeting_install(worker)
    exchange_install(worker)
    verifier_install(worker)
    sweeping_install(worker, shared_fd)
    mirror_install(worker)
    worker.lane.header.pid = <uint32_t>getpid()
    worker.lane.header.state = LANE_RUNNING
    worker.wall_offset = clock_wall() - clock_monotonic()
    return worker_control_open(worker)


cdef inline bint slab_is_left(const Slab *slab) noexcept nogil:
    """Whether a rush has left it large and empty; one chunk may stay, for the next request."""
    return slab.used == 0 and slab.chunks != NULL and slab.chunks.next != NULL


cdef void slab_shrink(Slab *slab) noexcept nogil:
    if slab_is_left(slab):
        slab_trim(slab)


cdef void worker_shrink(Worker *worker) noexcept nogil:
    slab_shrink(&worker.bufs.small)
    slab_shrink(&worker.bufs.large)
    slab_shrink(&worker.servers_slab)
    slab_shrink(&worker.upstreams_slab)
    slab_shrink(&worker.exchanges_slab)
    slab_shrink(&worker.messages_slab)
    slab_shrink(&worker.mirrors_slab)
    slab_shrink(&worker.h2_servers_slab)
    slab_shrink(&worker.h2_streams_slab)
    slab_shrink(&worker.h2_requests_slab)


cdef bint worker_done(Worker *worker) noexcept nogil:
    if worker.quitting:
        return True
    if not worker.draining:
        return False
    return list_empty(&worker.servers) or worker.loop.now >= worker.drain_deadline


cdef void worker_loop(Worker *worker) noexcept nogil:
    cdef uint64_t checked = 0
    cdef uint64_t longest
    while not worker_done(worker):
        if unlikely(worker.farewell_at != 0 and worker.farewell_at <= worker.loop.now):
            farewell_all(worker)
        longest = worker.drain_deadline - worker.loop.now if worker.draining else <uint64_t>-1
        if unlikely(worker.farewell_at != 0) and worker.farewell_at - worker.loop.now < longest:
            longest = worker.farewell_at - worker.loop.now
        if unlikely(slab_is_left(&worker.bufs.small)) and longest > <uint64_t>REFRESH * MILLISECOND:
            longest = <uint64_t>REFRESH * MILLISECOND            # nothing else may wake an idle worker to give it back
        loop_turn(&worker.loop, longest)
        worker.lane.header.loop_wakeups += 1
        worker_control_report(worker)
        overload_publish(worker)
        if worker.loop.now - checked >= <uint64_t>REFRESH * MILLISECOND:
            checked = worker.loop.now
            worker.wall_offset = clock_wall() - worker.loop.now
            clusters_sweep(worker)
            worker_shrink(worker)
            worker.lane.header.buffers_active = worker.bufs.small.used + worker.bufs.large.used


cdef void worker_give_up(Worker *worker) noexcept nogil:
    """Time is up: what is unfinished is ended so that nobody takes it for finished, counted and logged."""
    cdef Server *null = NULL
    cdef Server *server
    cdef Node *node = worker.servers.next
    while node != &worker.servers:
        server = <Server *>(<char *>node - <size_t>&null.node)
        node = node.next
        if server.h2 != NULL:
            worker.hooks.server_h2_give_up(server)
        elif server.exchange != NULL:
            exchange_give_up(server.exchange, FLAG_DR)


cdef void worker_teardown(Worker *worker) noexcept nogil:
    worker_give_up(worker)
    if worker.control_fd >= 0:
        worker_control_send(worker, CONTROL_DRAINED)
    worker.lane.header.state = LANE_FREE
    sweeping_end(worker)
    verifier_close(worker)
    tokens_destroy(worker)
    splice_pool_destroy(&worker.splices)
    tls_engine_destroy(&worker.tls)
    buf_pool_destroy(&worker.bufs)
    slab_destroy(&worker.servers_slab)
    slab_destroy(&worker.upstreams_slab)
    slab_destroy(&worker.exchanges_slab)
    slab_destroy(&worker.messages_slab)
    slab_destroy(&worker.mirrors_slab)
    slab_destroy(&worker.h2_servers_slab)
    slab_destroy(&worker.h2_streams_slab)
    slab_destroy(&worker.h2_requests_slab)
    slab_destroy(&worker.h2_clients_slab)
    slab_destroy(&worker.h2_calls_slab)
    idmap_destroy(&worker.clusters)
    idmap_destroy(&worker.hosts)
    free(worker.scratch)


def run(int lane, int shared_fd, int control_fd, list wake_fds, int log_fd):
    """Serve on a lane until told to leave.

    `shared_fd` is the memory that all share, `control_fd` a SOCK_SEQPACKET socket to the master, `wake_fds` one eventfd
    per lane, `log_fd` the logger's eventfd. Answers the exit status: 0 drained or told to quit, 1 could not start.
    """
    cdef Worker *worker = <Worker *>calloc(1, sizeof(Worker))
    cdef size_t size = <size_t>lseek(shared_fd, 0, SEEK_END)
    cdef void *block
    cdef int result = -1
    cdef uint32_t index
    if worker == NULL:
        return 1
    block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0)
    if block != MAP_FAILED:
        worker.shared = shared_open(block, size)
    if worker.shared == NULL or lane >= <int>worker.shared.lane_capacity or len(wake_fds) > MAX_LANES:
        free(worker)
        return 1
    worker.lane = shared_lane(worker.shared, lane)
    worker.lane_index = lane
    worker.control_fd = control_fd
    worker.log_fd = log_fd
    worker.wake_count = len(wake_fds)
    for index in range(worker.wake_count):
        worker.wake_fds[index] = wake_fds[index]
    with nogil:
        result = worker_setup(worker, shared_fd)
        if result == 0:
            worker_loop(worker)
            worker_teardown(worker)
    munmap(block, size)
    free(worker)
    return 0 if result == 0 else 1
