"""A backend so cheap that it hides nothing: HTTP/1.1 over one epoll, as little parsing as is safe on a bench.

    GET  anything     200 with a fixed body of 100 bytes
    GET  /bytes/N     200 with N zero bytes and a Content-Length
    GET  .../events   an event stream without end, one event a second
    POST anything     the body (Content-Length) is swallowed, then the fixed answer

`Connection: close` is obeyed, pipelining works. With a close rate, connections chosen at random are closed at
random moments, if they are between two requests as far as this side can see: a request may be on its way.

Invariants: `connections[c.index] == c` for each open connection; nothing is read while an answer is unsent;
a connection is freed only after the batch of events that it was closed in.
"""
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, malloc, strtoull
from libc.string cimport memcmp, memcpy, strlen

from bench.loops.system cimport (
    ALL_EDGES, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP, EVENTS_AT_ONCE, MSG_MORE, MSG_NOSIGNAL,
    SOCK_CLOEXEC, SOCK_NONBLOCK, accept4, close, epoll_create1, epoll_event, epoll_wait, every, fired,
    memmem, now, recv, send, send_at_once, strncasecmp, watch,
)

cdef enum:
    BUFFER = 262144          # of one recv, and of the zeros of one send
    HEAD_LIMIT = 16384       # bytes of a request head
    CONNECTION_LIMIT = 65536

cdef enum Outcome:
    GO_ON, BLOCKED, GONE

cdef const char *FIXED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\n"
    b"01234567890123456789012345678901234567890123456789"
    b"01234567890123456789012345678901234567890123456789"
)
cdef const char *FIXED_LAST = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\nconnection: close\r\n\r\n"
    b"01234567890123456789012345678901234567890123456789"
    b"01234567890123456789012345678901234567890123456789"
)
cdef const char *EVENTS_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
cdef const char *EVENT = b"c\r\ndata: tick\n\n\r\n"
cdef const char *REFUSED = b"HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

cdef struct Connection:
    int fd
    uint32_t index
    bint closing             # after the answer that is being written
    bint streaming           # an event stream
    bint hangup              # an end or an error is coming: read until it shows
    bint dead
    uint64_t to_swallow      # bytes of the request body still to come
    const char *answer       # what is still to be written, before the zeros
    size_t answer_size
    uint64_t zeros
    char *partial            # a request head that has not arrived whole
    size_t partial_size
    char head[128]
    Connection *next_dead

cdef struct Backend:
    int epoll
    int listener
    int event_timer
    int close_timer
    uint64_t random
    char *buffer
    char *zeros
    Connection *dead
    uint32_t count
    Connection *connections[CONNECTION_LIMIT]


cdef void close_connection(Backend *backend, Connection *connection) noexcept nogil:
    if connection.dead:
        return
    connection.dead = True
    close(connection.fd)
    backend.count -= 1
    backend.connections[connection.index] = backend.connections[backend.count]
    backend.connections[connection.index].index = connection.index
    connection.next_dead = backend.dead
    backend.dead = connection


cdef void bury(Backend *backend) noexcept nogil:
    cdef Connection *connection
    while backend.dead != NULL:
        connection = backend.dead
        backend.dead = connection.next_dead
        free(connection.partial)
        free(connection)


cdef Outcome write_answer(Backend *backend, Connection *connection) noexcept nogil:
    cdef ssize_t sent
    cdef size_t size
    while connection.answer_size:
        sent = send(connection.fd, connection.answer, connection.answer_size,
                    MSG_NOSIGNAL | (MSG_MORE if connection.zeros else 0))
        if sent < 0:
            return BLOCKED if errno == EAGAIN else GONE
        connection.answer += sent
        connection.answer_size -= <size_t>sent
    while connection.zeros:
        size = BUFFER if connection.zeros > BUFFER else <size_t>connection.zeros
        sent = send(connection.fd, backend.zeros, size, MSG_NOSIGNAL)
        if sent < 0:
            return BLOCKED if errno == EAGAIN else GONE
        connection.zeros -= <uint64_t>sent
    return GONE if connection.closing else GO_ON


cdef Outcome answer_with(Backend *backend, Connection *connection, const char *text) noexcept nogil:
    connection.answer = text
    connection.answer_size = strlen(text)
    return write_answer(backend, connection)


cdef Outcome answer_fixed(Backend *backend, Connection *connection) noexcept nogil:
    return answer_with(backend, connection, FIXED_LAST if connection.closing else FIXED)


cdef Outcome answer_head(
    Backend *backend, Connection *connection, const char *head, size_t size,
) noexcept nogil:
    """Answer the request whose head is at `head`; a request with a body is answered after the body."""
    cdef const char *field
    if memmem(head, size, b"onnection: close\r\n", 18) != NULL:
        connection.closing = True
    if memcmp(head, b"GET ", 4) != 0:
        field = head
        while True:
            field = <const char *>memmem(field, size - <size_t>(field - head), b"\r\n", 2) + 2
            if field >= head + size - 2:
                connection.closing = True
                return answer_with(backend, connection, REFUSED)
            if strncasecmp(field, b"content-length:", 15) == 0:
                connection.to_swallow = strtoull(field + 15, NULL, 10)
                return GO_ON if connection.to_swallow else answer_fixed(backend, connection)
    if memcmp(head + 4, b"/bytes/", 7) == 0:
        connection.zeros = strtoull(head + 11, NULL, 10)
        snprintf(connection.head, sizeof(connection.head), b"HTTP/1.1 200 OK\r\ncontent-length: %llu\r\n\r\n",
                 <unsigned long long>connection.zeros)
        return answer_with(backend, connection, connection.head)
    if memmem(head, 64 if size > 64 else size, b"/events ", 8) != NULL:
        connection.streaming = True
        return answer_with(backend, connection, EVENTS_HEAD)
    return answer_fixed(backend, connection)


cdef Outcome keep_partial(Connection *connection, const char *data, size_t size) noexcept nogil:
    cdef char *copy
    if size > HEAD_LIMIT:
        return GONE
    copy = <char *>malloc(size)
    if copy == NULL:
        return GONE
    memcpy(copy, data, size)
    connection.partial = copy
    connection.partial_size = size
    return GO_ON


cdef Outcome feed(Backend *backend, Connection *connection, const char *data, size_t size) noexcept nogil:
    """Take what has arrived; the rest of it, if an answer blocks or a head is not whole, is kept."""
    cdef const char *end
    cdef size_t taken
    cdef Outcome outcome = GO_ON
    while size and outcome == GO_ON:
        if connection.to_swallow:
            taken = size if connection.to_swallow > size else <size_t>connection.to_swallow
            connection.to_swallow -= taken
            if not connection.to_swallow:
                outcome = answer_fixed(backend, connection)
        else:
            end = <const char *>memmem(data, size, b"\r\n\r\n", 4)
            if end == NULL or end - data < 16:
                return keep_partial(connection, data, size)
            taken = <size_t>(end - data) + 4
            outcome = answer_head(backend, connection, data, taken)
        data += taken
        size -= taken
    if size and outcome == BLOCKED and keep_partial(connection, data, size) == GONE:
        return GONE
    return outcome


cdef Outcome receive(Backend *backend, Connection *connection) noexcept nogil:
    """Read until there is no more, or an answer cannot be written whole."""
    cdef ssize_t got
    cdef size_t before
    cdef Outcome outcome
    while True:
        before = connection.partial_size
        if before:
            memcpy(backend.buffer, connection.partial, before)
            free(connection.partial)
            connection.partial = NULL
            connection.partial_size = 0
        got = recv(connection.fd, backend.buffer + before, BUFFER, 0)
        if got == 0:
            return GONE
        if got < 0:
            if errno != EAGAIN:
                return GONE
            return feed(backend, connection, backend.buffer, before)
        outcome = feed(backend, connection, backend.buffer, before + <size_t>got)
        if outcome != GO_ON or (got < BUFFER and not connection.hangup):
            return outcome


cdef void handle(Backend *backend, Connection *connection, uint32_t happened) noexcept nogil:
    cdef Outcome outcome = GO_ON
    if happened & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        connection.hangup = True
    if connection.answer_size or connection.zeros:
        outcome = write_answer(backend, connection)
    if outcome == GO_ON:
        outcome = receive(backend, connection)
    if outcome == GONE or (outcome == BLOCKED and happened & (EPOLLHUP | EPOLLERR)):
        close_connection(backend, connection)


cdef void accept_all(Backend *backend) noexcept nogil:
    cdef int fd
    cdef Connection *connection
    while True:
        fd = accept4(backend.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd < 0:
            return
        connection = NULL
        if backend.count < CONNECTION_LIMIT:
            connection = <Connection *>calloc(1, sizeof(Connection))
        if connection == NULL:
            close(fd)
            continue
        send_at_once(fd)
        connection.fd = fd
        connection.index = backend.count
        backend.connections[backend.count] = connection
        backend.count += 1
        if watch(backend.epoll, fd, connection, ALL_EDGES) < 0:
            close_connection(backend, connection)


cdef void send_events(Backend *backend) noexcept nogil:
    """One event on every stream; a stream that takes none (its client reads nothing) misses it."""
    cdef uint32_t index = 0
    cdef Connection *connection
    while index < backend.count:
        connection = backend.connections[index]
        index += 1
        if connection.streaming and not connection.answer_size:
            if answer_with(backend, connection, EVENT) == GONE:
                close_connection(backend, connection)
                index -= 1                                  # another has moved to its place


cdef void close_one(Backend *backend) noexcept nogil:
    """Close a connection chosen at random; one that is at work is left alone."""
    cdef Connection *connection
    if not backend.count:
        return
    backend.random ^= backend.random << 13
    backend.random ^= backend.random >> 7
    backend.random ^= backend.random << 17
    connection = backend.connections[backend.random % backend.count]
    if not (connection.answer_size or connection.zeros or connection.to_swallow or connection.partial_size
            or connection.streaming):
        close_connection(backend, connection)


cdef void serve(Backend *backend) noexcept nogil:
    cdef epoll_event events[EVENTS_AT_ONCE]
    cdef void *owner
    cdef int count, index
    while True:
        count = epoll_wait(backend.epoll, events, EVENTS_AT_ONCE, -1)
        for index in range(count):
            owner = events[index].data.ptr
            if owner == NULL:
                accept_all(backend)
            elif owner == &backend.event_timer:
                fired(backend.event_timer)
                send_events(backend)
            elif owner == &backend.close_timer:
                fired(backend.close_timer)            # several, if this process was kept waiting: not a burst
                close_one(backend)
            elif not (<Connection *>owner).dead:
                handle(backend, <Connection *>owner, events[index].events)
        bury(backend)


def run(int listener, double close_rate) -> None:
    """Answer on the listening socket `listener` (a descriptor, non-blocking), for ever.

    `close_rate` is how many connections a second are closed at random moments; 0 for none.
    """
    cdef Backend *backend = <Backend *>calloc(1, sizeof(Backend))
    if backend == NULL:
        raise MemoryError
    backend.listener = listener
    backend.random = now() | 1
    backend.epoll = epoll_create1(0)
    backend.buffer = <char *>malloc(BUFFER + HEAD_LIMIT)
    backend.zeros = <char *>calloc(1, BUFFER)
    backend.event_timer = every(1000000000)
    if (backend.epoll < 0 or backend.buffer == NULL or backend.zeros == NULL or backend.event_timer < 0
            or watch(backend.epoll, listener, NULL, EPOLLIN) < 0
            or watch(backend.epoll, backend.event_timer, &backend.event_timer, EPOLLIN) < 0):
        raise OSError(errno, "the backend could not set up its loop")
    if close_rate > 0:
        backend.close_timer = every(<uint64_t>(1e9 / close_rate))
        if (backend.close_timer < 0
                or watch(backend.epoll, backend.close_timer, &backend.close_timer, EPOLLIN) < 0):
            raise OSError(errno, "the backend could not set up its timer")
    with nogil:
        serve(backend)
