"""The side that HTTP/2 requests come from (RFC 9113): frames to exchanges, answers to frames; behind `ServerOps`.

    ServerH2       the protocol's state of a `Server`, which stays in the worker's list and keeps its `Conn`
    ServerStream   a stream with its exchange; `Exchange.server` points to it

`server_h1` sees the client's preface, or what TLS has agreed to, and hands the connection over; from then on the `Conn`
calls the operations here.
What exchanges send is appended to the connection's output and goes out once a turn of the loop, all streams' frames in
one system call. A request body is taken off its stream only as the other side takes it, and only then does the client
get window for more.

A drain has two steps (section 6.8): GOAWAY with the highest id and a PING; with its answer, which comes behind every
stream that the client had opened by then, GOAWAY with the last one; and the end when the last answer has gone.

With `keepalive` a client that is silent is asked by another PING whether it is still there, and taken for gone without
an answer in time. Until a drain begins, which has its own times.
"""
from tulle._fast.base.buf cimport Buf
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.flow.types cimport Exchange, Server, Worker
from tulle._fast.http.h2_types cimport H2Connection, H2Stream
from tulle._fast.http.message cimport Message
from tulle._fast.net.loop cimport watch_make_ready

cdef struct ServerH2:
    H2Connection c
    Server *server
    uint32_t exchanges
    uint32_t requests
    uint64_t heard                     # when the client last sent anything, monotonic ns
    uint64_t asked                     # when a PING asked whether it is still there; 0: never
    uint64_t rests_until               # without a request: the end of the idle time; 0: it has some
    uint64_t interval                  # of the listener's `keepalive`; 0: it has none
    uint64_t patience                  # with an answer
    uint8_t scheduled                  # the output goes out when the ready list is run
    uint8_t greeted                    # the client's SETTINGS are here
    uint8_t draining                   # the first GOAWAY has gone
    uint8_t lingering                  # our FIN has gone, or will: what comes is dropped

cdef struct ServerStream:
    H2Stream *s
    ServerH2 *h2
    Exchange *x
    Message *trailers                  # of the request
    Buf *trailers_buf
    uint64_t body_read
    uint8_t extended                   # an extended CONNECT (RFC 8441)

# What is in the output goes to the socket when the ready list is run, with whatever comes until then
cdef inline void server_h2_schedule(ServerH2 *h2) noexcept nogil:
    h2.scheduled = 1
    watch_make_ready(&h2.server.conn.watch)

# It has a request, after a time without
cdef void server_h2_busy(ServerH2 *h2) noexcept nogil
# No more requests after those that are on their way
cdef void server_h2_drain(Server *server) noexcept nogil
cdef void server_h2_install(Worker *worker) noexcept nogil
