"""The pools of workers alone: requests and connections without sockets, step by step or as fast as can be.

What the pool calls upwards is played here: a connection is a structure that exists, counted in shared words as long as
it does, so that a place too many is seen. Several workers may live in one process. Built in place only.
"""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tulle._fast.base.atomic cimport atomic_fetch_add_i32, atomic_load_i32
from tulle._fast.base.clock cimport clock_monotonic
from tulle._fast.base.list cimport list_append, list_init
from tulle._fast.base.random cimport random_below, random_seed
from tulle._fast.base.shared cimport lane_cluster, lane_endpoint, shared_cluster_lines, shared_lane
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.timer cimport Timer, timer_init, timer_remove, wheel_init
from tulle._fast.base.types cimport BUG_ON, int32_t, uint32_t, uint64_t
from tulle._fast.flow.pool cimport (
    POOL_READY, POOL_WAIT, pool_acquire, pool_closed, pool_drain, pool_leave_queue, pool_put, pool_wake,
)
from tulle._fast.flow.types cimport (
    ATTEMPT_CONNECTING, ATTEMPT_NONE, ATTEMPT_RUNNING, ATTEMPT_WAITING, UPSTREAM_BUSY, UPSTREAM_CONNECTING, Attempt,
    Cluster, Exchange, Host, Upstream, Worker,
)
from tulle._fast.flow.upstream cimport host_ref, host_unref
from tulle._fast.http.message cimport METHOD_GET
from tulle._fast.net.system cimport POLLIN, poll, pollfd, read
from tulle._fast.policy.image cimport RouteEntry

cdef enum:
    HOSTS = 3
    GUESTS = 5                         # requests of a worker at a time
    PATIENCE = 5000                    # milliseconds without a wake-up, after which one has been lost

cdef struct Party:
    Worker worker                      # first
    Cluster cluster
    Host hosts[3]
    Exchange guests[5]
    RouteEntry route                   # of all guests
    int32_t *open                      # connections of all workers
    uint32_t failing                   # every so many connects fail at once; 0: none does
    int32_t peak
    uint32_t served
    uint32_t refused

WORDS_A_LANE = 4
OPEN, DONE = range(2)                  # words that all share; after them each lane's: peak, served, refused, stuck
NONE, WAITING, CONNECTING, RUNNING = ATTEMPT_NONE, ATTEMPT_WAITING, ATTEMPT_CONNECTING, ATTEMPT_RUNNING
GUESTS_OF_A_WORKER, HOSTS_OF_THE_CLUSTER = GUESTS, HOSTS


cdef int party_connect(Worker *worker, Attempt *attempt) noexcept nogil:
    cdef Party *party = <Party *>worker
    cdef Upstream *upstream
    cdef int32_t open
    if party.failing != 0 and random_below(&worker.random, party.failing) == 0:
        return -1
    upstream = <Upstream *>calloc(1, sizeof(Upstream))
    BUG_ON(upstream == NULL)
    open = atomic_fetch_add_i32(party.open, 1) + 1
    if open > party.peak:
        party.peak = open
    timer_init(&upstream.conn.timer, no_timer)
    list_init(&upstream.node)
    upstream.worker = worker
    upstream.host = attempt.host
    upstream.attempt = attempt
    upstream.state = UPSTREAM_CONNECTING
    attempt.upstream = upstream
    return 0


cdef void no_timer(Timer *timer, uint64_t now) noexcept nogil:
    BUG_ON(True)


cdef void party_close(Upstream *upstream) noexcept nogil:
    atomic_fetch_add_i32((<Party *>upstream.worker).open, -1)
    timer_remove(&upstream.conn.timer)
    pool_closed(upstream)
    free(upstream)


cdef void party_ready(Attempt *attempt) noexcept nogil:
    BUG_ON(attempt.state != ATTEMPT_RUNNING or attempt.upstream == NULL)


cdef void party_end(Attempt *attempt) noexcept nogil:
    cdef Host *host = attempt.host
    host.load.active -= 1
    host.stats.requests_active -= 1
    attempt.state = ATTEMPT_NONE
    attempt.upstream = NULL
    host_unref(host)


cdef void party_failed(Attempt *attempt, int flag) noexcept nogil:
    (<Party *>attempt.host.cluster.worker).refused += 1
    party_end(attempt)


cdef Party *party_new(
    Stats stats, uint32_t lane, list wakes, uint32_t most_connections, uint32_t most_pending, unsigned int[:] words
) noexcept:
    cdef Party *party = <Party *>calloc(1, sizeof(Party))
    cdef Worker *worker = &party.worker
    cdef Cluster *cluster = &party.cluster
    cdef uint32_t index
    BUG_ON(party == NULL)
    party.open = <int32_t *>&words[0]
    worker.shared = stats.shared
    worker.lane = shared_lane(stats.shared, lane)
    worker.lane_index = lane
    worker.wake_count = <uint32_t>len(wakes)
    for index in range(worker.wake_count):
        worker.wake_fds[index] = wakes[index]
    worker.loop.now = clock_monotonic()
    wheel_init(&worker.loop.timers, worker.loop.now)
    random_seed(&worker.random, lane)
    list_init(&worker.all_clusters)
    worker.hooks.connect = party_connect
    worker.hooks.close_idle = party_close
    worker.hooks.attempt_ready = party_ready
    worker.hooks.attempt_failed = party_failed
    cluster.worker = worker
    cluster.lines = shared_cluster_lines(stats.shared, 0)
    cluster.stats = lane_cluster(worker.lane, 0)
    cluster.config.max_connections = most_connections
    cluster.config.max_pending = most_pending
    cluster.config.pool_idle_timeout = <uint64_t>60 * 1000000000
    list_init(&cluster.all_hosts)
    list_init(&cluster.waiters)
    list_append(&worker.all_clusters, &cluster.node)
    for index in range(<uint32_t>HOSTS):
        party.hosts[index].cluster = cluster
        party.hosts[index].listed = True
        party.hosts[index].stats = lane_endpoint(worker.lane, index)
        list_init(&party.hosts[index].idle)
        list_append(&cluster.all_hosts, &party.hosts[index].node)
    return party


cdef void guest_start(Party *party, Exchange *x, uint32_t host, bint fresh) noexcept nogil:
    cdef Attempt *attempt = &x.first
    cdef int result
    memset(x, 0, sizeof(Exchange))
    x.route = &party.route
    x.method = METHOD_GET
    attempt.exchange = x
    attempt.host = &party.hosts[host]
    host_ref(attempt.host)
    attempt.host.stats.requests_active += 1
    attempt.host.load.active += 1
    list_init(&attempt.waiting)
    result = pool_acquire(attempt, fresh)
    if result == POOL_READY:
        party_ready(attempt)
    elif result != POOL_WAIT:
        party_failed(attempt, 0)


cdef void guest_step(Party *party, Exchange *x, bint well) noexcept nogil:
    """Go on with a request that is under way: it is connected, or it ends, and if `well` its connection is kept."""
    cdef Attempt *attempt = &x.first
    cdef Upstream *upstream = attempt.upstream
    if attempt.state == ATTEMPT_CONNECTING and well:
        upstream.state = UPSTREAM_BUSY
        attempt.state = ATTEMPT_RUNNING
    elif attempt.state == ATTEMPT_WAITING:
        if not well:
            pool_leave_queue(attempt)
            party_failed(attempt, 0)
    else:
        party.served += 1
        upstream.requests += 1
        upstream.attempt = NULL
        party_end(attempt)
        if well:
            pool_put(upstream)
        else:
            party_close(upstream)


cdef bint heed_wakes(Party *party, int milliseconds) noexcept nogil:
    """Whether one came within that time."""
    cdef uint64_t wakes
    cdef pollfd watched
    watched.fd = party.worker.wake_fds[party.worker.lane_index]
    watched.events = POLLIN
    if poll(&watched, 1, milliseconds) <= 0:
        return False
    read(watched.fd, &wakes, sizeof(wakes))
    party.worker.loop.now = clock_monotonic()
    pool_wake(&party.worker)
    return True


cdef bint party_run(Party *party, uint32_t requests) noexcept nogil:
    """Whether it came to its end."""
    cdef Exchange *x
    cdef uint32_t index, idle, waiting
    cdef bint fresh
    while True:
        heed_wakes(party, 0)
        party.worker.loop.now = clock_monotonic()
        x = &party.guests[random_below(&party.worker.random, GUESTS)]
        if x.first.state != ATTEMPT_NONE:
            # Those that wait are left to it, nearly always
            if x.first.state != ATTEMPT_WAITING or random_below(&party.worker.random, 8) == 0:
                guest_step(party, x, random_below(&party.worker.random, 8) != 0)
        elif requests > 0:
            requests -= 1
            fresh = random_below(&party.worker.random, 8) == 0
            guest_start(party, x, random_below(&party.worker.random, HOSTS), fresh)
        idle = 0
        waiting = 0
        for index in range(<uint32_t>GUESTS):
            idle += party.guests[index].first.state == ATTEMPT_NONE
            waiting += party.guests[index].first.state == ATTEMPT_WAITING
        if requests == 0 and idle == GUESTS:
            return True
        if waiting == GUESTS or (requests == 0 and idle + waiting == GUESTS):
            if not heed_wakes(party, PATIENCE):
                return False


cdef void check_empty(Party *party) noexcept nogil:
    cdef uint32_t index
    BUG_ON(party.cluster.waiter_count != 0 or party.cluster.idle_count != 0)
    for index in range(<uint32_t>HOSTS):
        BUG_ON(party.hosts[index].attempts != 0 or party.hosts[index].connections != 0)
        BUG_ON(party.hosts[index].load.active != 0 or party.hosts[index].stats.requests_active != 0)
        BUG_ON(party.hosts[index].stats.connections_idle != 0 or party.hosts[index].stats.connections_active != 0)


cdef bint party_round(Party *party, uint32_t requests, int32_t *done, int32_t all_done) noexcept nogil:
    """Carry so many requests, then heed the others until they are done too."""
    cdef bint ended = party_run(party, requests)
    atomic_fetch_add_i32(done, 1)
    while ended and atomic_load_i32(done) < all_done:
        heed_wakes(party, 1)
    return ended


def hammer(
    Stats stats, uint32_t lane, list wakes, uint32_t most_connections, uint32_t most_pending, uint32_t rounds,
    uint32_t requests, unsigned int[:] words,
) -> None:
    """As a worker of its lane, go through rounds of so many requests; a round ends when all workers have done theirs.

    At the end of a round nobody lets anything go any more: it is where a lost wake-up is not made good by a later one.
    """
    cdef Party *party = party_new(stats, lane, wakes, most_connections, most_pending, words)
    cdef int32_t *done = <int32_t *>&words[1]
    cdef int32_t workers = <int32_t>len(wakes)
    cdef bint ended = True
    cdef uint32_t index
    party.failing = 32
    with nogil:
        for index in range(rounds):
            if ended:
                ended = party_round(party, requests, done, workers * (<int32_t>index + 1))
        if ended:
            pool_drain(&party.worker)
    words[2 + lane * 4] = <uint32_t>party.peak
    words[3 + lane * 4] = party.served
    words[4 + lane * 4] = party.refused
    words[5 + lane * 4] = not ended
    if ended:
        check_empty(party)
    free(party)


cdef class Workers:
    """`count` workers of one cluster, all in this process, that do only what they are told to."""
    cdef Party *parties[8]
    cdef uint32_t count
    cdef object stats

    def __cinit__(self, Stats stats, list wakes, uint32_t most_connections, uint32_t most_pending, words):
        cdef uint32_t lane
        self.stats = stats                           # keeps the memory
        self.count = 0
        for lane in range(<uint32_t>len(wakes)):
            self.parties[lane] = party_new(stats, lane, wakes, most_connections, most_pending, words)
            self.count += 1

    def __dealloc__(self):
        cdef uint32_t lane
        for lane in range(self.count):
            free(self.parties[lane])

    cdef Exchange *guest(self, uint32_t lane, uint32_t guest) noexcept:
        # The pool takes the oldest by time: no two moments may be the same
        self.parties[lane].worker.loop.now = clock_monotonic()
        return &self.parties[lane].guests[guest]

    def start(self, uint32_t lane, uint32_t guest, uint32_t host, bint fresh) -> None:
        """Begin a request; nothing happens when this one is under way."""
        cdef Exchange *x = self.guest(lane, guest)
        if x.first.state == ATTEMPT_NONE:
            guest_start(self.parties[lane], x, host, fresh)

    def step(self, uint32_t lane, uint32_t guest, bint well) -> None:
        """As `guest_step`; nothing happens when there is no such request."""
        cdef Exchange *x = self.guest(lane, guest)
        if x.first.state != ATTEMPT_NONE:
            guest_step(self.parties[lane], x, well)

    def heed(self, uint32_t lane) -> bool:
        """Whether it had been woken."""
        return heed_wakes(self.parties[lane], 0)

    def states(self, uint32_t lane) -> list[int]:
        """AttemptState of each request."""
        return [self.parties[lane].guests[guest].first.state for guest in range(GUESTS)]

    def idle(self, uint32_t lane) -> int:
        """Connections that it keeps."""
        return self.parties[lane].cluster.idle_count

    def drain(self, uint32_t lane) -> None:
        """Close what is idle, and abort when anything is left that should not be."""
        pool_drain(&self.parties[lane].worker)
        check_empty(self.parties[lane])
