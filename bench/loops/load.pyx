"""A load generator for what wrk cannot do: a fixed rate, uploads, many paths, connections that are only held.

Closed loop: each connection sends its next request when the answer to the last has arrived. At a fixed
rate: requests fall due at even times whatever the proxy does, and latency counts from the time that a
request fell due, so that a stall is charged to every request that it delayed.

Invariants: a connection with `fd < 0` is shut; `waiting` holds exactly the open or shut connections that
have no request (fixed rate only); each request that began or fell due ends once, as answered or as one kind of
failure, or a stall would hide what it delayed. Answers must
have a Content-Length, which is all that the bench's backend and the proxies in front of it send.
"""
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, strtoull
from libc.string cimport memcpy

from bench.loops.system cimport (
    ALL_EDGES, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EVENTS_AT_ONCE, MSG_NOSIGNAL, close,
    connect_loopback, epoll_create1, epoll_event, epoll_wait, every, fired, memmem, now, recv, send,
    strncasecmp, watch,
)

cdef enum:
    BUFFER = 262144
    HEAD_LIMIT = 8192
    OPEN_AT_ONCE = 128               # connections being opened; more would overflow a listener's backlog
    FAILURE_LIMIT = 20000            # a proxy that is gone ends the run early, if the rate does not bound it
    STEPS = 64                       # of the histogram, per power of two: 1.6 % wide
    BUCKETS = 64 * STEPS

cdef enum:
    CONNECT, RESET, STATUS, MALFORMED, UNANSWERED, FAILURES

cdef struct Connection:
    int fd
    bint busy                        # has a request that is not answered
    bint connected                   # something has been sent on it
    bint hangup
    bint last                        # the other side closes after this answer
    uint64_t began
    uint64_t written                 # when the first byte went out
    size_t request                   # which one
    size_t sent
    uint64_t body_sent
    uint64_t body_left               # of the answer
    bint in_body
    bint good                        # status 2xx
    size_t head_size
    char head[HEAD_LIMIT]

cdef struct Stamp:
    uint64_t written
    uint64_t answered

cdef struct Load:
    int epoll
    uint16_t port
    bint closing                     # a connection for each request
    bint holding                     # one request on each connection, which then stays open
    uint64_t body_size
    const char **requests
    size_t *request_sizes
    size_t request_count
    size_t next_request
    Connection **waiting             # a ring
    size_t waiting_first
    size_t waiting_count
    Connection *connections
    size_t connection_count
    size_t opened                    # how many connections have had their first request
    size_t busy
    int timer
    uint64_t interval                # nanoseconds between requests, 0: closed loop
    uint64_t start
    uint64_t end
    uint64_t due                     # requests that have fallen due
    uint64_t begun
    uint64_t answered
    uint64_t received                # bytes
    uint64_t failures[FAILURES]
    uint64_t failed
    uint64_t slowest
    uint32_t histogram[BUCKETS]
    Stamp *stamps                    # of the good answers, NULL: not wanted
    size_t stamp_limit
    char *buffer
    char *zeros


cdef inline size_t bucket_of(uint64_t value) noexcept nogil:
    cdef int power = 0
    while value >> power >= 2 * STEPS:
        power += 1
    return <size_t>power * STEPS + <size_t>(value >> power)


cdef inline double middle_of(size_t bucket) noexcept nogil:
    if bucket < 2 * STEPS:
        return <double>bucket
    cdef size_t power = bucket // STEPS - 1
    return <double>((<uint64_t>(bucket - power * STEPS) << power) + ((<uint64_t>1 << power) >> 1))


cdef double percentile(Load *load, double part) noexcept nogil:
    """The latency in nanoseconds that this part of the answered requests did not exceed."""
    cdef uint64_t wanted = <uint64_t>(part * <double>load.answered)
    cdef uint64_t seen = 0
    cdef int bucket
    for bucket in range(BUCKETS):
        seen += load.histogram[bucket]
        if seen > wanted:
            return min(middle_of(<size_t>bucket), <double>load.slowest)
    return <double>load.slowest


cdef void shut(Connection *connection) noexcept nogil:
    if connection.fd >= 0:
        close(connection.fd)
        connection.fd = -1


cdef void ended(Load *load, Connection *connection) noexcept nogil:
    connection.busy = False
    load.busy -= 1
    if load.interval:
        load.waiting[(load.waiting_first + load.waiting_count) % load.connection_count] = connection
        load.waiting_count += 1


cdef void fail(Load *load, Connection *connection, int failure) noexcept nogil:
    if failure != STATUS or connection.last:
        shut(connection)
    load.failures[failure] += 1
    load.failed += 1
    ended(load, connection)


cdef void write_request(Load *load, Connection *connection) noexcept nogil:
    cdef const char *request = load.requests[connection.request]
    cdef size_t size = load.request_sizes[connection.request]
    cdef uint64_t left
    cdef ssize_t sent
    if not connection.sent:
        connection.written = now()
    while connection.sent < size or connection.body_sent < load.body_size:
        if connection.sent < size:
            sent = send(connection.fd, request + connection.sent, size - connection.sent, MSG_NOSIGNAL)
            if sent > 0:
                connection.sent += <size_t>sent
        else:
            left = load.body_size - connection.body_sent
            sent = send(connection.fd, load.zeros, BUFFER if left > BUFFER else <size_t>left, MSG_NOSIGNAL)
            if sent > 0:
                connection.body_sent += <uint64_t>sent
        if sent < 0:
            if errno != EAGAIN and not connection.hangup:     # after a hang-up an answer may be readable
                fail(load, connection, RESET if connection.connected else CONNECT)
            return
        connection.connected = True


cdef void begin(Load *load, Connection *connection, uint64_t began) noexcept nogil:
    connection.busy = True
    load.busy += 1
    load.begun += 1
    connection.began = began
    connection.request = load.next_request
    load.next_request += 1
    if load.next_request == load.request_count:
        load.next_request = 0
    connection.sent = 0
    connection.body_sent = 0
    connection.head_size = 0
    connection.in_body = False
    connection.last = load.closing
    if connection.fd < 0:
        connection.connected = False
        connection.hangup = False
        connection.fd = connect_loopback(load.port)
        if connection.fd < 0 or watch(load.epoll, connection.fd, connection, ALL_EDGES) < 0:
            fail(load, connection, CONNECT)
            return
    write_request(load, connection)


cdef void answered(Load *load, Connection *connection) noexcept nogil:
    cdef uint64_t time = now()
    cdef uint64_t taken = time - connection.began
    if not connection.good:
        fail(load, connection, STATUS)
        return
    if load.answered < load.stamp_limit:
        load.stamps[load.answered].written = connection.written
        load.stamps[load.answered].answered = time
    load.answered += 1
    load.histogram[bucket_of(taken)] += 1
    if taken > load.slowest:
        load.slowest = taken
    if connection.last:
        shut(connection)
    ended(load, connection)


cdef bint read_head(Load *load, Connection *connection, const char *head, size_t size) noexcept nogil:
    """Take the status, the length of the body and whether the connection ends from a whole head."""
    cdef const char *field = head
    cdef bint has_length = False
    if size < 16 or memmem(head, 7, b"HTTP/1.", 7) == NULL:
        return False
    connection.good = head[9] == b'2'
    while True:
        field = <const char *>memmem(field, size - <size_t>(field - head), b"\r\n", 2) + 2
        if field >= head + size - 2:
            break
        if strncasecmp(field, b"content-length:", 15) == 0:
            connection.body_left = strtoull(field + 15, NULL, 10)
            has_length = True
        elif strncasecmp(field, b"connection: close", 17) == 0:
            connection.last = True
    if not has_length and load.holding:       # an event stream: its head is the answer
        connection.body_left = 0
        return True
    return has_length


cdef bint take(Load *load, Connection *connection, const char *data, size_t size) noexcept nogil:
    """Take bytes that have arrived; false when the connection is done with for now."""
    cdef const char *end
    cdef const char *head = data
    cdef size_t head_size, body
    if not connection.busy:                   # more of an event stream, or stray bytes
        if not load.holding:
            shut(connection)
        return load.holding
    if not connection.in_body:
        if connection.head_size + size > HEAD_LIMIT and connection.head_size:
            size = HEAD_LIMIT - connection.head_size
        if connection.head_size:
            memcpy(connection.head + connection.head_size, data, size)
            head = connection.head
            size += connection.head_size
        end = <const char *>memmem(head, size, b"\r\n\r\n", 4)
        if end == NULL:
            if size >= HEAD_LIMIT:
                fail(load, connection, MALFORMED)
                return False
            if head == data:
                memcpy(connection.head, data, size)
            connection.head_size = size
            return True
        head_size = <size_t>(end - head) + 4
        if not read_head(load, connection, head, head_size):
            fail(load, connection, MALFORMED)
            return False
        connection.in_body = True
        size -= head_size
    body = size if connection.body_left > size else <size_t>connection.body_left
    connection.body_left -= body
    load.received += body
    if connection.body_left:
        return True
    answered(load, connection)
    return False


cdef void read_answer(Load *load, Connection *connection) noexcept nogil:
    cdef ssize_t got
    while connection.fd >= 0:
        got = recv(connection.fd, load.buffer, BUFFER, 0)
        if got > 0:
            if not take(load, connection, load.buffer, <size_t>got) and not connection.hangup:
                return
            if got < BUFFER and not connection.hangup:
                return
        elif got < 0 and errno == EAGAIN:
            return
        elif connection.busy:
            fail(load, connection, RESET if connection.connected else CONNECT)
        else:
            shut(connection)                  # closed between two requests, as it may be


cdef void begin_due(Load *load) noexcept nogil:
    cdef Connection *connection
    while load.begun < load.due and load.waiting_count:
        connection = load.waiting[load.waiting_first]
        load.waiting_first = (load.waiting_first + 1) % load.connection_count
        load.waiting_count -= 1
        begin(load, connection, load.start + (load.begun + 1) * load.interval)


cdef bint gone(Load *load) noexcept nogil:
    """Whether so much of a load without a rate has failed that there is no use in going on."""
    return not load.interval and load.failed >= FAILURE_LIMIT


cdef void open_more(Load *load) noexcept nogil:
    """Give the first request to connections that have had none, a bounded number at a time."""
    cdef size_t limit = OPEN_AT_ONCE
    if not load.holding:
        limit += load.opened                  # those at work are not being opened
    while load.opened < load.connection_count and load.busy < limit:
        load.opened += 1
        begin(load, &load.connections[load.opened - 1], now())


cdef void go_on(Load *load, Connection *connection) noexcept nogil:
    """The next request of a closed loop."""
    if not load.interval and not load.holding and not connection.busy and not gone(load):
        begin(load, connection, now())


cdef void drive(Load *load) noexcept nogil:
    cdef epoll_event events[EVENTS_AT_ONCE]
    cdef Connection *connection
    cdef uint64_t patience = load.end + 2000000000        # for answers that are under way at the end
    cdef uint64_t time = now()
    cdef int count, index
    while not gone(load):
        if load.holding and load.opened == load.connection_count and not load.busy:
            return
        if time >= load.end and ((not load.busy and load.begun >= load.due) or time >= patience):
            return
        if time < load.end and not load.interval:
            open_more(load)
        count = epoll_wait(load.epoll, events, EVENTS_AT_ONCE, 20)
        time = now()
        for index in range(count):
            connection = <Connection *>events[index].data.ptr
            if connection == NULL:
                if time < load.end:
                    load.due += fired(load.timer)
                else:
                    close(load.timer)
                    load.timer = -1
                continue
            if connection.fd < 0:
                continue
            if events[index].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                connection.hangup = True
            if connection.busy and events[index].events & EPOLLOUT:
                write_request(load, connection)
            if connection.fd >= 0 and events[index].events & ~EPOLLOUT:
                read_answer(load, connection)
            if time < load.end:
                go_on(load, connection)
        if load.interval:
            begin_due(load)


def run(
    int port, list requests, *, int connections, double seconds, double rate=0, bint closing=False,
    bint holding=False, object body_size=0, bint stamping=False,
) -> dict[str, object]:
    """Send `requests` (whole heads, taken in turn) to 127.0.0.1:`port` and say how it went.

    `rate` is requests a second over all connections, 0 for as many as the answers allow. `holding` sends one
    request on each connection and returns with the connections open, which they stay until the process ends.
    `stamping` (at a rate only) adds `stamps`: for each good answer when its request was written and when it was
    whole, and `start`; all in microseconds of the monotonic clock, the stamps counted from the start.
    The answer counts requests, failures by kind and bytes; times are in seconds, latencies in microseconds.
    """
    if not requests or connections < 1:
        raise ValueError("a load needs at least one request and one connection")
    cdef Load *load = <Load *>calloc(1, sizeof(Load))
    cdef size_t index
    load.port = <uint16_t>port
    load.closing = closing
    load.holding = holding
    load.body_size = <uint64_t>body_size
    load.request_count = <size_t>len(requests)
    load.connection_count = <size_t>connections
    load.requests = <const char **>malloc(load.request_count * sizeof(char *))
    load.request_sizes = <size_t *>malloc(load.request_count * sizeof(size_t))
    load.waiting = <Connection **>calloc(load.connection_count, sizeof(Connection *))
    load.connections = <Connection *>calloc(load.connection_count, sizeof(Connection))
    load.buffer = <char *>malloc(BUFFER)
    load.zeros = <char *>calloc(1, BUFFER)
    for index in range(load.request_count):
        load.requests[index] = <bytes>requests[index]
        load.request_sizes[index] = <size_t>len(<bytes>requests[index])
    for index in range(load.connection_count):
        load.connections[index].fd = -1
        load.waiting[index] = &load.connections[index]
    load.epoll = epoll_create1(0)
    if rate > 0:
        load.interval = <uint64_t>(1e9 / rate)
        load.waiting_count = load.connection_count
        load.timer = every(load.interval)
        if load.timer < 0 or watch(load.epoll, load.timer, NULL, EPOLLIN) < 0:
            raise OSError(errno, "the load could not set up its timer")
        if stamping:
            load.stamp_limit = <size_t>(rate * (seconds + 1))
            load.stamps = <Stamp *>calloc(load.stamp_limit, sizeof(Stamp))
            if load.stamps == NULL:
                raise MemoryError
    load.start = now()
    load.end = load.start + <uint64_t>(seconds * 1e9)
    with nogil:
        drive(load)
    load.failures[UNANSWERED] = load.busy
    if load.due > load.begun:                  # these never found a free connection
        load.failures[UNANSWERED] += load.due - load.begun
    load.failed += load.failures[UNANSWERED]
    result = {
        "requests": load.answered,
        "seconds": (now() - load.start) / 1e9,
        "bytes": load.received,
        "failed": load.failed,
        "connect": load.failures[CONNECT],
        "reset": load.failures[RESET],
        "status": load.failures[STATUS],
        "malformed": load.failures[MALFORMED],
        "unanswered": load.failures[UNANSWERED],
        "p50": percentile(load, 0.50) / 1e3,
        "p99": percentile(load, 0.99) / 1e3,
        "p999": percentile(load, 0.999) / 1e3,
        "slowest": load.slowest / 1e3,
    }
    if stamping:
        result["start"] = load.start // 1000
        result["stamps"] = [
            ((load.stamps[index].written - load.start) // 1000, (load.stamps[index].answered - load.start) // 1000)
            for index in range(min(load.answered, load.stamp_limit))
        ]
    if not holding:
        for index in range(load.connection_count):
            shut(&load.connections[index])
        close(load.epoll)
        if load.interval and load.timer >= 0:
            close(load.timer)
        free(load.requests)
        free(load.request_sizes)
        free(load.waiting)
        free(load.connections)
        free(load.buffer)
        free(load.zeros)
        free(load.stamps)
        free(load)
    return result
