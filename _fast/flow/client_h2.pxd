"""Connections to hosts that speak HTTP/2 (RFC 9113): each carries the requests of many exchanges of the worker at once.

    ClientH2       the protocol's state of an `Upstream`; in `Host.shared`
    ClientStream   a request that was sent on it; `Attempt.call`

A request goes on the first connection of its host that has room: for what the host's SETTINGS and the cluster's
`max_streams_per_connection` allow; else another connection is opened, as far as the limit of connections goes. Without
a request a connection is idle in the pool as any other. One that is too old, has carried its number of requests or was
told to go by GOAWAY takes no more, and ends with its last stream.

What streams send goes out once a turn of the loop, all frames in one system call. An attempt that is over resets its
stream and leaves the connection alone. Streams that the host certainly has not looked at (above the last of GOAWAY, or
refused) are told from others: they may go out again.

A host that is silent while it has requests is asked by PING whether it is still there, and with `keepalive` one that
has none as well; a connection whose PING is not answered in time ends, and what is on it as by any other end.
"""
from tulle._fast.base.buf cimport Buf
from tulle._fast.base.list cimport Node
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.flow.types cimport Attempt, Upstream, Worker
from tulle._fast.http.h2_types cimport H2Connection, H2Stream
from tulle._fast.http.message cimport Message
from tulle._fast.net.loop cimport watch_make_ready

cdef struct ClientH2:
    Node node                          # in Host.shared
    H2Connection c                     # once it is connected
    Upstream *upstream
    Node waiting                       # Attempt.waiting: for the connection to be there
    Node failing                       # Attempt.waiting: what they sent did not go out
    Node ready                         # ClientStream.ready: they have something for an exchange that can take it
    uint32_t attempts                  # that have a place on it
    uint64_t heard                     # when the host last sent anything, or silence began to count; monotonic ns
    uint64_t asked                     # when a PING asked whether the host is still there; 0: never
    uint64_t told                      # when it last said so
    uint64_t rests_until               # idle: the end of it
    uint64_t interval                  # of the cluster's `keepalive`; 0: it has none
    uint64_t patience                  # with an answer
    uint8_t connected
    uint8_t scheduled                  # the output goes out when the ready list is run
    uint8_t closing                    # takes no more requests

cdef struct ClientStream:
    H2Stream *s
    Attempt *attempt
    Node ready
    Message *response                  # until it is passed on, with the first bytes of the body
    Buf *response_buf
    Message *trailers
    Buf *trailers_buf
    uint8_t held                       # gRPC: `response` is judged when it is delivered, perhaps with its trailers

cdef inline ClientH2 *h2_of_attempt(const Attempt *attempt) noexcept nogil:
    return <ClientH2 *>attempt.upstream.h2

cdef inline void client_h2_schedule(ClientH2 *h2) noexcept nogil:
    """What is in the output goes to the socket when the ready list is run, with whatever comes until then."""
    h2.scheduled = 1
    if not h2.upstream.conn.watch.dead:
        watch_make_ready(&h2.upstream.conn.watch)

cdef void client_h2_install(Worker *worker) noexcept nogil
