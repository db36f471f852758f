"""The floor: a relay that copies bytes between two sockets and looks at none of them.

One thread, one epoll, edge-triggered, one backend connection for each client connection. Per request it makes
the system calls that no proxy can do without (recv, send, recv, send, and the waits), so what a proxy
costs above it is the proxy's own doing.

Invariants: while a side has spilled bytes its other side is not read; a pair is freed only
after the batch of events that it was closed in, for a later event of that batch may still point at it.
"""
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from bench.loops.system cimport (
    ALL_EDGES, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EVENTS_AT_ONCE, MSG_NOSIGNAL, SHUT_WR,
    SOCK_CLOEXEC, SOCK_NONBLOCK, accept4, close, connect_loopback, epoll_create1, epoll_event, epoll_wait,
    recv, send, send_at_once, shutdown, watch,
)

cdef enum:
    BUFFER = 65536

cdef struct Side:
    int fd
    bint ended           # it will send nothing more
    bint hangup          # an end or an error is coming: read until it shows
    Pair *pair
    Side *other
    char *spill          # bytes that this side's socket would not take yet
    size_t spill_start
    size_t spill_end

cdef struct Pair:
    Side client
    Side backend
    Pair *next_dead
    bint dead

cdef struct Relay:
    int epoll
    int listener
    uint16_t backend_port
    Pair *dead
    char *buffer


cdef void close_pair(Relay *relay, Pair *pair) noexcept nogil:
    if pair.dead:
        return
    pair.dead = True
    close(pair.client.fd)
    close(pair.backend.fd)
    pair.next_dead = relay.dead
    relay.dead = pair


cdef void bury(Relay *relay) noexcept nogil:
    cdef Pair *pair
    while relay.dead != NULL:
        pair = relay.dead
        relay.dead = pair.next_dead
        free(pair.client.spill)
        free(pair.backend.spill)
        free(pair)


cdef bint spill(Side *side, const char *data, size_t size) noexcept nogil:
    side.spill = <char *>malloc(size)
    if side.spill == NULL:
        return False
    memcpy(side.spill, data, size)
    side.spill_start = 0
    side.spill_end = size
    return True


cdef void copy_from(Relay *relay, Side *side) noexcept nogil:
    """Move what `side` has to its other side, until it has no more or the other takes no more."""
    cdef Side *other = side.other
    cdef ssize_t got, sent
    while not side.ended and other.spill == NULL:
        got = recv(side.fd, relay.buffer, BUFFER, 0)
        if got > 0:
            sent = send(other.fd, relay.buffer, <size_t>got, MSG_NOSIGNAL)
            if sent < 0:
                if errno != EAGAIN:
                    close_pair(relay, side.pair)
                    return
                sent = 0
            if sent < got:
                if not spill(other, relay.buffer + sent, <size_t>(got - sent)):
                    close_pair(relay, side.pair)
                return
            if got < BUFFER and not side.hangup:
                return
        elif got == 0:
            side.ended = True
            if other.ended:
                close_pair(relay, side.pair)
            else:
                shutdown(other.fd, SHUT_WR)
        elif errno == EAGAIN:
            return
        elif errno != EINTR:
            close_pair(relay, side.pair)
            return


cdef void flush(Relay *relay, Side *side) noexcept nogil:
    cdef size_t size = side.spill_end - side.spill_start
    cdef ssize_t sent = send(side.fd, side.spill + side.spill_start, size, MSG_NOSIGNAL)
    if sent < 0:
        if errno != EAGAIN:
            close_pair(relay, side.pair)
        return
    side.spill_start += <size_t>sent
    if side.spill_start == side.spill_end:
        free(side.spill)
        side.spill = NULL
        copy_from(relay, side.other)


cdef void accept_all(Relay *relay) noexcept nogil:
    cdef int fd
    cdef Pair *pair
    while True:
        fd = accept4(relay.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
        if fd < 0:
            return
        pair = <Pair *>calloc(1, sizeof(Pair))
        if pair == NULL:
            close(fd)
            continue
        send_at_once(fd)
        pair.client.fd = fd
        pair.backend.fd = connect_loopback(relay.backend_port)
        pair.client.pair = pair.backend.pair = pair
        pair.client.other = &pair.backend
        pair.backend.other = &pair.client
        if (pair.backend.fd < 0
                or watch(relay.epoll, pair.backend.fd, &pair.backend, ALL_EDGES) < 0
                or watch(relay.epoll, fd, &pair.client, ALL_EDGES) < 0):
            close_pair(relay, pair)


cdef void serve(Relay *relay) noexcept nogil:
    cdef epoll_event events[EVENTS_AT_ONCE]
    cdef Side *side
    cdef int count, index
    cdef uint32_t happened
    while True:
        count = epoll_wait(relay.epoll, events, EVENTS_AT_ONCE, -1)
        for index in range(count):
            side = <Side *>events[index].data.ptr
            if side == NULL:
                accept_all(relay)
                continue
            if side.pair.dead:
                continue
            happened = events[index].events
            if happened & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
                side.hangup = True
            if happened & EPOLLOUT and side.spill != NULL:
                flush(relay, side)
            if happened & ~EPOLLOUT and not side.pair.dead:
                copy_from(relay, side)
        bury(relay)


def run(int listener, int backend_port) -> None:
    """Relay from the socket `listener` (a non-blocking descriptor) to a port of 127.0.0.1, for ever."""
    cdef Relay relay
    relay.listener = listener
    relay.backend_port = <uint16_t>backend_port
    relay.dead = NULL
    relay.epoll = epoll_create1(0)
    relay.buffer = <char *>malloc(BUFFER)
    if relay.epoll < 0 or relay.buffer == NULL or watch(relay.epoll, listener, NULL, EPOLLIN) < 0:
        raise OSError(errno, "the relay could not set up its loop")
    with nogil:
        serve(&relay)
