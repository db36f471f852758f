"""Hosts of a service that take their time, fail or are overloaded: what balancing and retrying are tried against.

Each host has a port of its own and is as described by `bench.hosts.Host`: so many requests are at work at a time,
so many wait behind them in the order in which they came, and a request that finds no place is answered with 503 at
once, and so is a share of all requests, drawn at random.

    GET  /speed/X     the host works X times as fast from now on (a decimal fraction)
    GET  /counts      requests, failed, refused, wasted, waiting (with those at work), one number a line
    GET  anything     200 with a fixed body of 100 bytes, when its time has come

A request that was taken is worked off even if nobody waits for the answer any more, as most servers do; such work
is counted as wasted.

Invariants: a connection with `fd < 0` is shut; it is freed when it is shut, is neither at work nor waiting, and the
batch of events that it was shut in is over. The heap holds exactly the connections at work, the next one due first.
A connection has one request at a time: what comes after it stays in `head`.
"""
from libc.errno cimport EAGAIN, errno
from libc.math cimport log
from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, strtod
from libc.string cimport memcmp, memmove, strlen

from bench.loops.system cimport (
    ALL_EDGES, CLOCK_MONOTONIC, EPOLLIN, EVENTS_AT_ONCE, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK,
    TFD_CLOEXEC, TFD_NONBLOCK, accept4, close, epoll_create1, epoll_event, epoll_wait, fired, memmem, now, recv,
    send, send_at_once, timerfd_create, wake_at, watch,
)

cdef enum:
    HEAD_LIMIT = 4096        # bytes of a request head
    CONNECTION_LIMIT = 65536

cdef enum State:
    IDLE, WAITING, AT_WORK

cdef const char *FIXED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\n"
    b"01234567890123456789012345678901234567890123456789"
    b"01234567890123456789012345678901234567890123456789"
)
cdef const char *UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"

cdef struct Host:
    int listener
    uint64_t least           # nanoseconds that any request takes
    double more              # mean of what is added to that, distributed exponentially
    double failing           # the share of requests that fail at once
    uint32_t slots           # requests at work at a time, 0: all
    uint32_t queue_limit
    double speed
    uint32_t active
    uint32_t waiting
    Connection *first
    Connection *last
    uint64_t requests
    uint64_t failed
    uint64_t refused
    uint64_t wasted

cdef struct Connection:
    int fd
    State state
    Host *host
    bint dead                # is in the list of the dead
    uint64_t due
    Connection *next         # that waits, or that is dead
    size_t size
    char head[HEAD_LIMIT]

cdef struct Services:
    int epoll
    int timer
    uint64_t random
    uint32_t host_count
    Host *hosts
    Connection *dead
    uint32_t count           # of connections
    uint32_t heap_size
    Connection *heap[CONNECTION_LIMIT]


cdef double draw(Services *services) noexcept nogil:
    """Evenly from (0, 1]."""
    services.random ^= services.random << 13
    services.random ^= services.random >> 7
    services.random ^= services.random << 17
    return <double>((services.random >> 11) + 1) / 9007199254740992.0


cdef void heap_push(Services *services, Connection *connection) noexcept nogil:
    cdef uint32_t place = services.heap_size
    cdef uint32_t parent
    services.heap_size += 1
    while place:
        parent = (place - 1) // 2
        if services.heap[parent].due <= connection.due:
            break
        services.heap[place] = services.heap[parent]
        place = parent
    services.heap[place] = connection


cdef Connection *heap_pop(Services *services) noexcept nogil:
    cdef Connection *top = services.heap[0]
    cdef Connection *moved
    cdef uint32_t place = 0
    cdef uint32_t child
    services.heap_size -= 1
    moved = services.heap[services.heap_size]
    while True:
        child = 2 * place + 1
        if child >= services.heap_size:
            break
        if child + 1 < services.heap_size and services.heap[child + 1].due < services.heap[child].due:
            child += 1
        if services.heap[child].due >= moved.due:
            break
        services.heap[place] = services.heap[child]
        place = child
    services.heap[place] = moved
    return top


cdef void forget_if_done(Services *services, Connection *connection) noexcept nogil:
    if connection.fd < 0 and connection.state == IDLE and not connection.dead:
        connection.dead = True
        connection.next = services.dead
        services.dead = connection
        services.count -= 1


cdef void shut(Services *services, Connection *connection) noexcept nogil:
    if connection.fd >= 0:
        close(connection.fd)
        connection.fd = -1
    forget_if_done(services, connection)


cdef void bury(Services *services) noexcept nogil:
    cdef Connection *connection
    while services.dead != NULL:
        connection = services.dead
        services.dead = connection.next
        free(connection)


cdef void answer(Services *services, Connection *connection, const char *text) noexcept nogil:
    """Write the answer, if somebody is there: it is so short that a socket takes it whole or is broken."""
    cdef size_t size = strlen(text)
    if connection.fd >= 0 and send(connection.fd, text, size, MSG_NOSIGNAL) != <ssize_t>size:
        shut(services, connection)


cdef void work(Services *services, Connection *connection) noexcept nogil:
    cdef Host *host = connection.host
    cdef double taking = <double>host.least - log(draw(services)) * host.more
    host.active += 1
    connection.state = AT_WORK
    connection.due = now() + <uint64_t>(taking / host.speed)
    heap_push(services, connection)


cdef void accept_request(Services *services, Connection *connection) noexcept nogil:
    """A request has come: work on it, have it wait, or answer it with 503."""
    cdef Host *host = connection.host
    host.requests += 1
    if host.failing > 0 and draw(services) <= host.failing:
        host.failed += 1
        answer(services, connection, UNAVAILABLE)
    elif not host.slots or host.active < host.slots:
        work(services, connection)
    elif host.waiting < host.queue_limit:
        connection.state = WAITING
        connection.next = NULL
        if host.waiting:
            host.last.next = connection
        else:
            host.first = connection
        host.last = connection
        host.waiting += 1
    else:
        host.refused += 1
        answer(services, connection, UNAVAILABLE)


cdef void answer_counts(Services *services, Connection *connection) noexcept nogil:
    cdef Host *host = connection.host
    cdef char body[128]
    cdef char text[256]
    cdef int size = snprintf(
        body, sizeof(body), b"%llu\n%llu\n%llu\n%llu\n%u\n", <unsigned long long>host.requests,
        <unsigned long long>host.failed, <unsigned long long>host.refused, <unsigned long long>host.wasted,
        host.waiting + host.active,
    )
    snprintf(text, sizeof(text), b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", size, body)
    answer(services, connection, text)


cdef void take_requests(Services *services, Connection *connection) noexcept nogil:
    """Look at what has been received, until a request is not answered yet or not whole."""
    cdef char *end
    cdef size_t size
    while connection.fd >= 0 and connection.state == IDLE:
        end = <char *>memmem(connection.head, connection.size, b"\r\n\r\n", 4)
        if end == NULL:
            if connection.size == HEAD_LIMIT:
                shut(services, connection)
            return
        size = <size_t>(end - connection.head) + 4
        if memcmp(connection.head, b"GET ", 4) != 0:
            shut(services, connection)
            return
        if memcmp(connection.head + 4, b"/speed/", 7) == 0:
            connection.host.speed = strtod(connection.head + 11, NULL)
            answer(services, connection, FIXED)
        elif memcmp(connection.head + 4, b"/counts ", 8) == 0:
            answer_counts(services, connection)
        else:
            accept_request(services, connection)
        connection.size -= size
        memmove(connection.head, end + 4, connection.size)


cdef void receive(Services *services, Connection *connection) noexcept nogil:
    """Read all there is; a client that has gone is seen at once, the work for it goes on."""
    cdef ssize_t got
    while connection.fd >= 0:
        if connection.size == HEAD_LIMIT:                # it sends although its request is not answered
            shut(services, connection)
            return
        got = recv(connection.fd, connection.head + connection.size, HEAD_LIMIT - connection.size, 0)
        if got < 0 and errno == EAGAIN:
            return
        if got <= 0:
            shut(services, connection)
            return
        connection.size += <size_t>got
        take_requests(services, connection)


cdef void finish_due(Services *services) noexcept nogil:
    """Answer what is due, and begin the work on what has waited for its place."""
    cdef Connection *connection
    cdef Connection *waiter
    cdef Host *host
    cdef uint64_t time = now()
    while services.heap_size and services.heap[0].due <= time:
        connection = heap_pop(services)
        host = connection.host
        connection.state = IDLE
        host.active -= 1
        if host.waiting:
            waiter = host.first
            host.first = waiter.next
            host.waiting -= 1
            work(services, waiter)
        if connection.fd < 0:
            host.wasted += 1
            forget_if_done(services, connection)
        else:
            answer(services, connection, FIXED)
            take_requests(services, connection)


cdef void accept_all(Services *services, Host *host) noexcept nogil:
    cdef int fd
    cdef Connection *connection
    while True:
        fd = accept4(host.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd < 0:
            return
        connection = NULL
        if services.count < CONNECTION_LIMIT:
            connection = <Connection *>calloc(1, sizeof(Connection))
        if connection == NULL:
            close(fd)
            continue
        send_at_once(fd)
        services.count += 1
        connection.fd = fd
        connection.host = host
        if watch(services.epoll, fd, connection, ALL_EDGES) < 0:
            shut(services, connection)


cdef void serve(Services *services) noexcept nogil:
    cdef epoll_event events[EVENTS_AT_ONCE]
    cdef void *owner
    cdef int count, index
    while True:
        if services.heap_size:
            wake_at(services.timer, services.heap[0].due)
        count = epoll_wait(services.epoll, events, EVENTS_AT_ONCE, -1)
        for index in range(count):
            owner = events[index].data.ptr
            if owner == &services.timer:
                fired(services.timer)
            elif <Host *>owner >= services.hosts and <Host *>owner < services.hosts + services.host_count:
                accept_all(services, <Host *>owner)
            else:
                receive(services, <Connection *>owner)
        finish_due(services)
        bury(services)


def run(list hosts) -> None:
    """Serve `hosts` for ever; each is a tuple of

    a listening descriptor (non-blocking), the seconds that any request takes, the mean of what is added to that,
    the share that fails, the requests at work at a time (0: all), and how many may wait behind them.
    """
    cdef Services *services = <Services *>calloc(1, sizeof(Services))
    cdef Host *host
    cdef uint32_t index
    if services == NULL:
        raise MemoryError
    services.random = now() | 1
    services.host_count = <uint32_t>len(hosts)
    services.hosts = <Host *>calloc(services.host_count, sizeof(Host))
    services.epoll = epoll_create1(0)
    services.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
    if (services.hosts == NULL or services.epoll < 0 or services.timer < 0
            or watch(services.epoll, services.timer, &services.timer, EPOLLIN) < 0):
        raise OSError(errno, "the services could not set up their loop")
    for index in range(services.host_count):
        host = &services.hosts[index]
        host.listener, least, more, host.failing, host.slots, host.queue_limit = hosts[index]
        host.least = <uint64_t>(least * 1e9)
        host.more = more * 1e9
        host.speed = 1
        if watch(services.epoll, host.listener, host, EPOLLIN) < 0:
            raise OSError(errno, "the services could not watch a listening socket")
    with nogil:
        serve(services)
