"""HTTP/2 connections as Python objects, for tests and the fuzzer; built in place only.

Input lies so that it ends where an unmapped page begins, and is somewhere else with every call.
"""
from libc.string cimport memcpy
from tulle._fast.base.buf cimport Buf, BufPool, buf_pool_destroy, buf_pool_init, buf_unref
from tulle._fast.base.slab cimport Slab, slab_destroy, slab_init, slab_put
from tulle._fast.base.types cimport BUG_ON, uint8_t, uint32_t, uint64_t
from tulle._fast.http.h1_parse cimport h1_message_init
from tulle._fast.http.h1_write cimport Extra, HeadEdits
from tulle._fast.http.h2_connection cimport (
    h2c_ask, h2c_destroy, h2c_fail, h2c_init, h2c_may_open, h2c_open, h2c_ping, h2c_receive, h2c_shut, h2c_shutdown,
    h2s_at_end, h2s_keep, h2s_leave, h2s_read, h2s_reset,
)
from tulle._fast.http.h2_output cimport h2_out_gone
from tulle._fast.http.h2_send cimport (
    H2RequestLine, h2c_next_drained, h2c_pump, h2s_send, h2s_send_request, h2s_send_response,
)
from tulle._fast.http.h2_stream cimport h2_owned_above
from tulle._fast.http.h2_types cimport (
    H2_ALIVE, H2_BODY, H2_CLOSED, H2_FAILED, H2_GOAWAY, H2_HEAD, H2_NOTHING, H2_PONG, H2_REFUSE, H2_SETTINGS,
    H2_TRAILERS, H2C_FAILED, H2Connection, H2Event, H2Limits, H2Stream,
)
from tulle._fast.http.hpack_encode cimport HpackLookup, hpack_lookup_init
from tulle._fast.http.message cimport FIELD_DROP, Field, Message

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int mprotect(void *address, size_t length, int protection) noexcept
    int PROT_NONE, PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    void *MAP_FAILED

cdef enum:
    PAGE = 4096
    INPUT_PAGES = 80

SERVER, CLIENT = range(2)
FRAMINGS = ("none", "length", "chunked", "close", "tunnel")
TARGET_FORMS = ("origin", "absolute", "authority", "asterisk")
KINDS = {
    H2_HEAD: "head", H2_BODY: "body", H2_TRAILERS: "trailers", H2_CLOSED: "closed", H2_SETTINGS: "settings",
    H2_PONG: "pong", H2_ALIVE: "alive", H2_GOAWAY: "goaway", H2_FAILED: "failed", H2_REFUSE: "refuse",
}


cdef class Connection:
    """One side of a connection. `receive` answers with events, `output` with what there is to send."""
    cdef H2Connection c
    cdef BufPool bufs
    cdef Slab streams
    cdef Slab messages
    cdef HpackLookup lookup
    cdef char *pages
    cdef readonly bytes pending
    cdef uint64_t malformed_count
    cdef uint64_t calmed_count
    cdef readonly bint take_bodies
    cdef bint ready

    def __cinit__(
        self, int role=0, *, uint32_t streams=100, uint32_t head=61440, uint32_t line=8192, uint32_t fields=100,
        uint32_t window=65535, uint32_t window_most=65535, uint32_t connection_window=65535,
        uint32_t connection_window_most=65535, bint take_bodies=True, uint64_t now=1,
        bint extended_connect=True,
    ):
        cdef H2Limits limits
        self.pages = <char *>mmap(
            NULL, (INPUT_PAGES + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
        )
        if self.pages == MAP_FAILED:
            raise MemoryError("no room for the input")
        mprotect(self.pages + INPUT_PAGES * PAGE, PAGE, PROT_NONE)
        buf_pool_init(&self.bufs)
        slab_init(&self.streams, sizeof(H2Stream), 65536, 0)
        slab_init(&self.messages, sizeof(Message), 131072, 0)
        hpack_lookup_init(&self.lookup, 0x1234567)
        limits.streams = streams
        limits.head = head
        limits.line = line
        limits.fields = fields
        limits.extended_connect = extended_connect
        limits.window = window
        limits.window_most = window_most
        limits.connection_window = connection_window
        limits.connection_window_most = connection_window_most
        self.take_bodies = take_bodies
        self.pending = b""
        if h2c_init(
            &self.c, role, &self.bufs, &self.streams, &self.messages, &self.lookup, &limits, now,
            &self.malformed_count, &self.calmed_count
        ) != 0:
            raise MemoryError("no room for a connection")
        self.ready = True

    def __dealloc__(self):
        if self.ready:
            h2c_destroy(&self.c)
            # Whatever was handed out has come back
            BUG_ON(self.bufs.small.used != 0 or self.bufs.large.used != 0)
            BUG_ON(self.streams.used != 0 or self.messages.used != 0)
            buf_pool_destroy(&self.bufs)
            slab_destroy(&self.streams)
            slab_destroy(&self.messages)
        if self.pages != NULL and self.pages != MAP_FAILED:
            munmap(self.pages, (INPUT_PAGES + 1) * PAGE)

    @property
    def malformed(self):
        """Messages and frames that were refused."""
        return self.malformed_count

    @property
    def calmed(self):
        """Whether it ended with ENHANCE_YOUR_CALM."""
        return self.calmed_count

    @property
    def failed(self):
        return self.c.flags & H2C_FAILED != 0

    @property
    def occupied(self):
        """(buffers, streams, messages) in use."""
        return self.bufs.small.used + self.bufs.large.used, self.streams.used, self.messages.used

    @property
    def windows(self):
        """(goal of a stream, goal of the connection): what receive windows grow to."""
        return self.c.window_goal, self.c.connection_goal

    @property
    def waiting_output(self):
        return self.c.out_bytes

    def tick(self, uint64_t nanoseconds):
        self.c.now += nanoseconds

    # -- receiving ---------------------------------------------------------------------------------------------------

    def receive(self, bytes data):
        """All events of these bytes, which come behind those that were left over."""
        cdef H2Event event
        cdef char *place
        cdef uint32_t used
        data = self.pending + data
        events = []
        while True:
            if len(data) > INPUT_PAGES * PAGE:
                raise AssertionError("more is left over than a frame can be")
            place = self.pages + INPUT_PAGES * PAGE - len(data)
            memcpy(place, <const char *>data, len(data))
            used = h2c_receive(&self.c, place, <uint32_t>len(data), &event)
            BUG_ON(used > <uint32_t>len(data))
            data = data[used:]
            if event.kind == H2_NOTHING:
                break
            events.append(self.told(&event))
            if event.kind == H2_FAILED:
                data = b""
                break
        self.pending = data
        return events

    def feed(self, bytes data, size_t step=65536):
        """`receive` in pieces of so many bytes."""
        events = []
        for at in range(0, len(data), step):
            events += self.receive(data[at:at + step])
            if self.failed:
                break
        return events

    cdef object told(self, H2Event *event):
        cdef H2Stream *s = event.stream
        kind = KINDS[event.kind]
        if event.kind in (H2_HEAD, H2_TRAILERS, H2_REFUSE):
            if s.owner == NULL:
                s.owner = <void *>self
            told = (kind, s.id, self.described(event.message), bool(event.end))
            slab_put(&self.messages, event.message)
            buf_unref(&self.bufs, event.buf)
            return told if event.kind != H2_REFUSE else (kind, s.id, event.error, bool(event.end))
        if event.kind == H2_BODY:
            body = event.data[:event.length]
            if self.take_bodies:
                body = self.taken(s)
            elif not h2s_keep(&self.c, s):
                raise MemoryError("no room for a body")
            return (kind, s.id, body, bool(event.end))
        if event.kind == H2_CLOSED:
            told = (kind, s.id, event.error, bool(event.ours))
            h2s_leave(&self.c, s, event.error)
            return told
        if event.kind == H2_GOAWAY:
            return (kind, event.last, event.error)
        if event.kind == H2_FAILED:
            self.leave_all()
            return (kind, event.error)
        return (kind,)

    cdef object described(self, const Message *message):
        cdef const Field *field
        fields = []
        for index in range(message.field_count):
            field = &message.fields[index]
            fields.append((
                message.base[field.name:field.name + field.name_length],
                message.base[field.value:field.value + field.value_length],
                bool(field.flags & FIELD_DROP),
            ))
        return {
            "method": message.base[message.method_offset:message.method_offset + message.method_length],
            "target": message.base[message.target:message.target + message.target_length],
            "path": message.base[message.path:message.path + message.path_length],
            "query": message.base[message.query:message.query + message.query_length],
            "authority": message.base[message.authority:message.authority + message.authority_length],
            "form": TARGET_FORMS[message.target_form],
            "status": message.status,
            "framing": FRAMINGS[message.framing],
            "content_length": message.content_length,
            "fields": fields,
        }

    cdef H2Stream *find(self, uint32_t id) except NULL:
        cdef H2Stream *s = h2_owned_above(&self.c, id - 1)
        if s == NULL or s.id != id:
            raise KeyError(id)
        return s

    cdef bytes taken(self, H2Stream *s):
        cdef const char *data = NULL
        cdef uint32_t length
        body = b""
        while True:
            length = h2s_read(&self.c, s, &data)
            if length == 0:
                return body
            body += data[:length]

    def read(self, uint32_t id):
        """The bytes of a body that were kept."""
        return self.taken(self.find(id))

    def at_end(self, uint32_t id):
        return bool(h2s_at_end(self.find(id)))

    # -- sending -----------------------------------------------------------------------------------------------------

    def output(self):
        """Everything that there is to send, pump and all; it has gone then."""
        sent = []
        while True:
            more = h2c_pump(&self.c)
            sent.append(self.taken_output())
            if not more:
                return b"".join(sent)

    cdef bytes taken_output(self):
        cdef Buf *buf = self.c.out_first
        pieces = []
        while buf != NULL:
            pieces.append(buf.data[buf.start:buf.end])
            buf = buf.next
        h2_out_gone(&self.c, self.c.out_bytes)
        return b"".join(pieces)

    def drained(self):
        """Ids of the streams whose senders may go on."""
        cdef H2Stream *s
        ids = []
        while True:
            s = h2c_next_drained(&self.c)
            if s == NULL:
                return ids
            ids.append(s.id)

    def open(self, bytes method=b"GET", int method_number=1, scheme=b"http", authority=b"a", path=b"/", fields=(),
             bint end=True, protocol=b""):
        """A request; its stream, or None when none may be opened."""
        cdef H2RequestLine line
        cdef H2Stream *s = h2c_open(&self.c)
        if s == NULL:
            return None
        s.owner = <void *>self
        s.method = <uint8_t>method_number
        line.method.text, line.method.length = <const char *>method, len(method)
        line.scheme.text, line.scheme.length = <const char *><bytes>scheme, len(scheme)
        line.authority.text, line.authority.length = <const char *><bytes>authority, len(authority)
        line.path.text, line.path.length = <const char *><bytes>path, len(path)
        line.protocol.text, line.protocol.length = <const char *><bytes>protocol, len(protocol)
        self.head_sent(s, &line, 0, fields, end)
        return s.id

    def respond(self, uint32_t id, int status=200, fields=(), bint end=False):
        return self.head_sent(self.find(id), NULL, status, fields, end)

    cdef int head_sent(self, H2Stream *s, const H2RequestLine *line, int status, fields, bint end) except -9:
        cdef HeadEdits edits
        cdef Extra extras[128]
        for index, (name, value) in enumerate(fields):
            extras[index] = Extra(
                name=<const char *><bytes>name, value=<const char *><bytes>value,
                name_length=len(name), value_length=len(value),
            )
        edits.target = NULL
        edits.target_length = 0
        edits.extra_count = len(fields)
        edits.extras = extras
        if line != NULL:
            return h2s_send_request(&self.c, s, line, NULL, &edits, end)
        return h2s_send_response(&self.c, s, <int>status, NULL, &edits, end)

    def send(self, uint32_t id, bytes data=b"", bint end=False, trailers=None):
        """0 sent, 1 blocked, -1 not at all."""
        cdef Message message
        cdef Field *field
        if trailers is None:
            return h2s_send(&self.c, self.find(id), data, len(data), end, NULL)
        h1_message_init(&message)
        text = b""
        for name, value in trailers:
            field = &message.fields[message.field_count]
            field.name, field.name_length = len(text), len(name)
            field.value, field.value_length = len(text) + len(name) + 2, len(value)
            field.id = 0
            field.flags = 0
            message.field_count += 1
            text += name + b": " + value + b"\r\n"
        message.base = text
        message.fields_end = len(text)
        return h2s_send(&self.c, self.find(id), data, len(data), end, &message)

    def reset(self, uint32_t id, uint32_t error):
        h2s_reset(&self.c, self.find(id), error)

    def leave(self, uint32_t id, uint32_t error=0):
        """The owner lets go of a stream."""
        h2s_leave(&self.c, self.find(id), error)

    def leave_all(self):
        cdef H2Stream *s = h2_owned_above(&self.c, 0)
        while s != NULL:
            h2s_leave(&self.c, s, 0)
            s = h2_owned_above(&self.c, 0)

    def may_open(self):
        return bool(h2c_may_open(&self.c))

    def ping(self):
        h2c_ping(&self.c)

    def ask(self):
        h2c_ask(&self.c)

    def shutdown(self):
        h2c_shutdown(&self.c)

    def shut(self):
        h2c_shut(&self.c)

    def fail(self, uint32_t error):
        h2c_fail(&self.c, error)
