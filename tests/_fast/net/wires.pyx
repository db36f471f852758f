"""Connections as a Python class, for tests; built in place only.

The owner of a connection notes what it is called for and does nothing, unless it is to read: the test does the rest.
Each connection lives in memory of its own, which is freed when it is buried.
"""
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free

from tulle._fast.base.buf cimport Buf, BufPool, buf_pool_destroy, buf_pool_init, buf_ref, buf_unref
from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport BUG_ON, uint32_t, uint64_t
from tulle._fast.net.conn cimport (
    CONN_BLOCKED, CONN_BROKEN, CONN_BULK, CONN_CONNECTING, CONN_DATA, CONN_DONE, CONN_END, CONN_EOF, CONN_ERROR,
    CONN_FULL, CONN_HUNG_UP, CONN_NO_MEMORY, CONN_OUT_ARMED, CONN_PAUSED, CONN_READABLE, CONN_SHUT, Conn, ConnOps,
    conn_at_end, conn_available, conn_close, conn_data, conn_fill, conn_grow, conn_init, conn_pause,
    conn_release_input, conn_resume, conn_send, conn_shutdown, conn_want_drained, conn_was_reset,
)
from tulle._fast.net.loop cimport Loop, loop_destroy, loop_init, loop_turn, watch_add
from tulle._fast.net.system cimport EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, iovec

cdef enum:
    MOST_WIRES = 16
    MOST_NOTES = 1024
    MOST_PIECES = 8

cdef struct Wire:
    Conn conn                          # first
    Yard *yard
    uint32_t index
    bint close_when_called

cdef struct Note:
    uint32_t index
    int call
    int value

cdef struct Yard:
    Loop loop
    BufPool bufs
    ConnOps ops
    Wire *wires[16]
    uint32_t count
    uint64_t received
    uint64_t sent
    uint32_t note_count
    Note notes[1024]

CALLS = ("input", "drained", "connected", "timeout", "buried")
RESULTS = {
    CONN_DONE: "done", CONN_DATA: "data", CONN_BLOCKED: "blocked", CONN_FULL: "full", CONN_END: "end",
    CONN_ERROR: "error", CONN_NO_MEMORY: "no memory",
}
STATES = {
    "connecting": CONN_CONNECTING, "readable": CONN_READABLE, "hung up": CONN_HUNG_UP, "eof": CONN_EOF,
    "paused": CONN_PAUSED, "armed": CONN_OUT_ARMED, "broken": CONN_BROKEN, "bulk": CONN_BULK, "shut": CONN_SHUT,
}


cdef void note(Conn *conn, int call, int value) noexcept nogil:
    cdef Wire *wire = <Wire *>conn
    cdef Yard *yard = wire.yard
    BUG_ON(yard.note_count == MOST_NOTES)
    yard.notes[yard.note_count].index = wire.index
    yard.notes[yard.note_count].call = call
    yard.notes[yard.note_count].value = value
    yard.note_count += 1
    if wire.close_when_called and call != 4:
        conn_close(conn, False)


cdef void on_input(Conn *conn) noexcept nogil:
    note(conn, 0, 0)


cdef void on_drained(Conn *conn) noexcept nogil:
    note(conn, 1, 0)


cdef void on_connected(Conn *conn, int error) noexcept nogil:
    note(conn, 2, error)


cdef void on_timeout(Conn *conn, uint64_t now) noexcept nogil:
    note(conn, 3, 0)


cdef void on_bury(Conn *conn) noexcept nogil:
    cdef Wire *wire = <Wire *>conn
    note(conn, 4, 0)
    wire.yard.wires[wire.index] = NULL
    free(wire)


cdef class Wires:
    """A loop and its connections, named by the order in which they were added."""
    cdef Yard *yard

    def __cinit__(self):
        self.yard = <Yard *>calloc(1, sizeof(Yard))
        if self.yard == NULL:
            raise MemoryError
        if loop_init(&self.yard.loop) < 0:
            raise OSError("no epoll descriptor can be had")
        buf_pool_init(&self.yard.bufs)
        self.yard.ops = ConnOps(on_connected, on_input, on_drained, on_timeout, on_bury)

    def __dealloc__(self):
        cdef uint32_t index
        if self.yard == NULL:
            return
        for index in range(self.yard.count):
            if self.yard.wires[index] != NULL:
                conn_close(&self.yard.wires[index].conn, False)
        loop_destroy(&self.yard.loop)
        buf_pool_destroy(&self.yard.bufs)
        free(self.yard)

    def add(self, int fd, bint connecting=False) -> int:
        """Takes the descriptor over."""
        cdef Wire *wire = <Wire *>calloc(1, sizeof(Wire))
        cdef uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET
        BUG_ON(wire == NULL or self.yard.count == MOST_WIRES)
        conn_init(&wire.conn, &self.yard.loop, fd, &self.yard.ops, &self.yard.bufs)
        wire.conn.bytes_received = &self.yard.received
        wire.conn.bytes_sent = &self.yard.sent
        wire.yard = self.yard
        wire.index = self.yard.count
        self.yard.wires[wire.index] = wire
        self.yard.count += 1
        if connecting:
            wire.conn.state = CONN_CONNECTING | CONN_OUT_ARMED
            events |= EPOLLOUT
        if watch_add(&wire.conn.watch, events) < 0:
            raise OSError(f"descriptor {fd} cannot be watched")
        return wire.index

    cdef Conn *conn(self, uint32_t index) except NULL:
        if index >= self.yard.count or self.yard.wires[index] == NULL:
            raise IndexError(f"connection {index} has been buried")
        return &self.yard.wires[index].conn

    def turn(self, uint64_t longest=0) -> list[tuple[int, str] | tuple[int, str, int]]:
        """One turn: (connection, what its owner was called for), with the errno for "connected"."""
        cdef Note *noted
        self.yard.note_count = 0
        with nogil:
            loop_turn(&self.yard.loop, longest)
        called = []
        for at in range(self.yard.note_count):
            noted = &self.yard.notes[at]
            call = (noted.index, CALLS[noted.call])
            called.append((*call, noted.value) if noted.call == 2 else call)
        return called

    def close_when_called(self, uint32_t index) -> None:
        """The owner closes the connection whatever it is called for."""
        self.conn(index)
        self.yard.wires[index].close_when_called = True

    def fill(self, uint32_t index) -> str:
        return RESULTS[conn_fill(self.conn(index))]

    def grow(self, uint32_t index) -> str:
        return RESULTS[conn_grow(self.conn(index))]

    def data(self, uint32_t index) -> bytes:
        """What has been read and not been taken."""
        cdef Conn *conn = self.conn(index)
        cdef uint32_t length = conn_available(conn)
        return conn_data(conn)[:length] if length else b""

    def take(self, uint32_t index, uint32_t count) -> bytes:
        cdef Conn *conn = self.conn(index)
        BUG_ON(count > conn_available(conn))
        conn.input.start += count
        return conn.input.data[conn.input.start - count:conn.input.start]

    def release(self, uint32_t index) -> None:
        conn_release_input(self.conn(index))

    def capacity(self, uint32_t index) -> int:
        """Of the input buffer; 0: there is none."""
        cdef Conn *conn = self.conn(index)
        return conn.input.capacity if conn.input != NULL else 0

    def pin(self, uint32_t index) -> int:
        """Another reference to the input buffer, by its address."""
        return <uintptr_t>buf_ref(self.conn(index).input)

    def pinned(self, uintptr_t buf, uint32_t count) -> bytes:
        """The first bytes of a buffer that is pinned."""
        return (<Buf *>buf).data[:count]

    def unpin(self, uintptr_t buf) -> None:
        buf_unref(&self.yard.bufs, <Buf *>buf)

    def send(self, uint32_t index, list pieces) -> str:
        cdef iovec vector[8]
        cdef uint32_t count = 0
        BUG_ON(len(pieces) > MOST_PIECES)
        for piece in pieces:
            vector[count].iov_base = <char *>(<bytes>piece)
            vector[count].iov_len = len(piece)
            count += 1
        return RESULTS[conn_send(self.conn(index), vector, count)]

    def want_drained(self, uint32_t index) -> None:
        conn_want_drained(self.conn(index))

    def pause(self, uint32_t index) -> None:
        conn_pause(self.conn(index))

    def resume(self, uint32_t index) -> None:
        conn_resume(self.conn(index))

    def shutdown(self, uint32_t index) -> None:
        conn_shutdown(self.conn(index))

    def close(self, uint32_t index, bint reset=False) -> None:
        conn_close(self.conn(index), reset)

    def set_timer(self, uint32_t index, uint64_t nanoseconds) -> None:
        timer_set(&self.yard.loop.timers, &self.conn(index).timer, self.yard.loop.now + nanoseconds)

    def state(self, uint32_t index) -> set[str]:
        cdef uint32_t state = self.conn(index).state
        return {name for name, bit in STATES.items() if state & bit}

    def error(self, uint32_t index) -> int:
        """The errno of a broken one."""
        return self.conn(index).error

    def was_reset(self, uint32_t index) -> bool:
        return conn_was_reset(self.conn(index))

    def at_end(self, uint32_t index) -> bool:
        return conn_at_end(self.conn(index))

    def queued(self, uint32_t index) -> int:
        """Bytes in the output queue."""
        return self.conn(index).output_bytes

    @property
    def buffers(self) -> tuple[int, int]:
        """In use: small ones and large ones."""
        return self.yard.bufs.small.used, self.yard.bufs.large.used

    def limit_buffers(self, uint32_t small, uint32_t large) -> None:
        """No more than so many; 0: as many as there is memory for."""
        self.yard.bufs.small.limit = small
        self.yard.bufs.large.limit = large

    @property
    def bytes(self) -> tuple[int, int]:
        """Counted: received and sent."""
        return self.yard.received, self.yard.sent
