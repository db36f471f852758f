"""One byte pipe: a connected stream socket with an input buffer and an output queue, plain or with a layer over it.

Edge-triggered, registered once. Input: the owner calls `conn_fill` when told that there is input, and may leave bytes
unread for as long as it likes (`conn_pause`); `conn_resume` gets it called again. A short read ends the reading, unless
the peer has hung up: then it is read to the end. Output: written at once; what the socket does not take is copied to
the queue, and the owner, told by CONN_BLOCKED, sends no more until `drained`. Bytes already queued plus one send is the
bound.

With a layer (`tls`) the owner calls the same functions: its bytes are in the clear, the queue holds what goes to the
socket. As long as the layer has bytes for the owner, CONN_READABLE stays set. `connected` is called when its handshake
is over, on both sides; until then the owner gets no other call but `timeout`.
"""
from tulle._fast.base.buf cimport Buf, BufPool
from tulle._fast.base.timer cimport Timer
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.net.loop cimport Loop, Watch, watch_make_ready
from tulle._fast.net.system cimport iovec

cdef enum ConnState:
    CONN_CONNECTING = 1
    CONN_READABLE = 2                  # the kernel may have more for us
    CONN_HUNG_UP = 4                   # RDHUP, HUP or ERR was seen: the end is near, read up to it
    CONN_EOF = 8                       # the peer's FIN has been read
    CONN_PAUSED = 16                   # the owner wants no input now
    CONN_OUT_ARMED = 32                # EPOLLOUT is registered
    CONN_BROKEN = 64                   # a read or write failed; `error` tells why
    CONN_BULK = 256                    # the next input buffer is a large one
    CONN_WANT_DRAINED = 512            # `drained` is owed although the queue is empty: somebody writes past it
    CONN_SHUT = 128                    # our FIN is sent, or will be when the queue is empty
    CONN_HANDSHAKE = 1024              # the layer is not ready: it alone gets the events

cdef enum ConnResult:
    CONN_DONE = 0                      # sent all; or nothing to read now
    CONN_DATA = 1
    CONN_BLOCKED = 2
    CONN_FULL = 3                      # the input buffer is full and pinned or at its largest
    CONN_END = -1                      # orderly end of input
    CONN_ERROR = -2
    CONN_NO_MEMORY = -3

cdef struct ConnOps:
    void (*connected)(Conn *conn, int error) noexcept nogil     # outcome of a connect; errno or 0
    void (*input)(Conn *conn) noexcept nogil                    # there may be input, or the end of it
    void (*drained)(Conn *conn) noexcept nogil                  # the output queue is empty again
    void (*timeout)(Conn *conn, uint64_t now) noexcept nogil
    void (*bury)(Conn *conn) noexcept nogil                     # free what the connection lives in

cdef struct LayerOps:                  # what the functions below ask of a layer in place of the socket
    int (*fill)(Conn *conn) noexcept nogil                      # into `input`, which has room; a result of `conn_fill`
    int (*send)(Conn *conn, iovec *pieces, uint32_t count) noexcept nogil
    void (*advance)(Conn *conn) noexcept nogil                  # CONN_HANDSHAKE: there may be input
    bint (*is_quiet)(Conn *conn) noexcept nogil
    void (*shutdown)(Conn *conn) noexcept nogil                 # say that nothing follows; the FIN comes behind it
    void (*rest)(Conn *conn) noexcept nogil
    void (*close)(Conn *conn, bint reset) noexcept nogil        # last words, if there is no reset, and free it

cdef struct Layer:                     # the first member of one
    const LayerOps *ops

cdef struct Conn:
    Watch watch                        # first: a Watch * of a connection is the Conn *
    Timer timer
    const ConnOps *ops
    BufPool *bufs
    Buf *input
    Buf *output
    Buf *output_last
    Layer *tls                         # NULL: the owner's bytes are the socket's
    uint64_t *bytes_received           # counters of the lane
    uint64_t *bytes_sent
    uint32_t output_bytes
    uint32_t state                     # ConnState
    int error                          # errno of a broken one

cdef void conn_init(Conn *conn, Loop *loop, int fd, const ConnOps *ops, BufPool *bufs) noexcept nogil
cdef int conn_fill(Conn *conn) noexcept nogil
# Room for a larger head: moves the unread bytes to a large buffer. CONN_FULL when it is large already
cdef int conn_grow(Conn *conn) noexcept nogil
# Of one that has ended or failed: whether the peer's kernel sent RST, which it does for bytes that nobody has read
cdef bint conn_was_reset(Conn *conn) noexcept nogil
# Asks the kernel whether the peer's FIN is the next that can be read
cdef bint conn_at_end(Conn *conn) noexcept nogil
# Whether nothing has come that was not read yet, neither bytes nor the end; costs a call. Then there is no need to read
cdef bint conn_is_quiet(Conn *conn) noexcept nogil
cdef int conn_send(Conn *conn, iovec *pieces, uint32_t count) noexcept nogil
# The same past the layer, which calls it
cdef int conn_write(Conn *conn, iovec *pieces, uint32_t count) noexcept nogil
# The socket took no more from somebody who writes past the queue (splice): `drained` tells when it does again
cdef void conn_want_drained(Conn *conn) noexcept nogil
cdef void conn_shutdown(Conn *conn) noexcept nogil
# At once: what is queued is lost; with `reset` the peer sees RST instead of FIN
cdef void conn_close(Conn *conn, bint reset) noexcept nogil

cdef inline void conn_pause(Conn *conn) noexcept nogil:
    conn.state |= CONN_PAUSED

cdef inline void conn_resume(Conn *conn) noexcept nogil:
    """The owner wants input again, and also what it left in the buffer."""
    conn.state &= ~<uint32_t>CONN_PAUSED
    if conn.state & (CONN_READABLE | CONN_HUNG_UP | CONN_EOF) or conn.input != NULL:
        watch_make_ready(&conn.watch)

cdef inline uint32_t conn_available(const Conn *conn) noexcept nogil:
    return conn.input.end - conn.input.start if conn.input != NULL else 0

cdef inline char *conn_data(Conn *conn) noexcept nogil:
    return conn.input.data + conn.input.start

cdef void conn_release_input(Conn *conn) noexcept nogil

cdef inline void conn_rest(Conn *conn) noexcept nogil:
    """Nothing is under way: it takes the least memory that it can."""
    if conn.tls != NULL:
        conn.tls.ops.rest(conn)
