"""See `server_body.pxd`. Reads from the socket only when asked, so an upstream that is slow holds the client back."""
from tulle._fast.base.slab cimport slab_get
from tulle._fast.base.types cimport likely, uint32_t, unlikely
from tulle._fast.flow.tunnel cimport TUNNEL_ENDLESS
from tulle._fast.flow.types cimport BODY_DATA, BODY_END, BODY_ERROR, BODY_GONE, BODY_MORE
from tulle._fast.http.h1_chunk cimport CHUNK_ERROR, CHUNK_LAST, chunk_decode, chunk_init
from tulle._fast.http.h1_connection cimport connection_names_drop, connection_names_keep
from tulle._fast.http.h1_parse cimport PARSE_DONE, PARSE_MORE, ParseLimits, h1_message_init, h1_parse_trailers
from tulle._fast.http.message cimport FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_TUNNEL, Message
from tulle._fast.net.conn cimport (
    CONN_DATA, CONN_DONE, CONN_EOF, CONN_FULL, CONN_HUNG_UP, CONN_READABLE, Conn, conn_available, conn_data, conn_fill,
    conn_grow, conn_release_input,
)
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.splice cimport SPLICE_MIN

cdef enum:
    TRAILER_BYTES = 8192
    TRAILER_FIELDS = 32


cdef void server_body_begin(Server *server, const Message *message) noexcept nogil:
    server.framing = message.framing
    server.remaining = message.content_length
    server.body_read = 0
    server.trailers = 0
    if message.framing == FRAMING_CHUNKED:
        chunk_init(&server.chunks)
        connection_names_keep(&server.names, message)


cdef int body_refill(Conn *conn) noexcept nogil:
    """BODY_DATA when there is something in the buffer that was not there before."""
    cdef int result
    if conn.state & CONN_EOF:
        return BODY_GONE
    if not conn.state & (CONN_READABLE | CONN_HUNG_UP):
        conn_release_input(conn)
        return BODY_MORE
    result = conn_fill(conn)
    if likely(result == CONN_DATA):
        return BODY_DATA
    if result == CONN_DONE:
        return BODY_MORE
    if result == CONN_FULL:
        return BODY_DATA if conn_grow(conn) == CONN_DONE else BODY_ERROR
    return BODY_GONE


cdef int read_length(Server *server, const char **data, size_t *length) noexcept nogil:
    cdef Conn *conn = &server.conn
    cdef uint32_t available = conn_available(conn)
    cdef int result
    if available == 0:
        if server.remaining == 0:
            return BODY_END
        result = body_refill(conn)
        if result != BODY_DATA:
            return result
        available = conn_available(conn)
    if available > server.remaining:
        available = <uint32_t>server.remaining
    data[0] = conn_data(conn)
    length[0] = available
    conn.input.start += available
    server.remaining -= available
    return BODY_END if server.remaining == 0 else BODY_DATA


cdef int read_trailers(Exchange *x, Server *server) noexcept nogil:
    cdef Conn *conn = &server.conn
    cdef ParseLimits limits
    cdef int result
    limits.head = TRAILER_BYTES
    limits.line = TRAILER_BYTES
    limits.fields = TRAILER_FIELDS
    if server.message == NULL:
        server.message = <Message *>slab_get(&server.worker.messages_slab)
        if server.message == NULL:
            return BODY_ERROR
        h1_message_init(server.message)
    while True:
        if conn_available(conn) > 0:
            result = h1_parse_trailers(server.message, conn_data(conn), conn_available(conn), &limits)
            if result == PARSE_DONE:
                server.message.base = conn_data(conn)
                conn.input.start += server.message.head_length
                if server.message.field_count > 0:
                    connection_names_drop(&server.names, server.message)
                    x.trailers = server.message
                return BODY_END
            if result != PARSE_MORE:
                return BODY_ERROR
        result = body_refill(conn)
        if result != BODY_DATA:
            return result


cdef int read_chunked(Exchange *x, Server *server, const char **data, size_t *length) noexcept nogil:
    cdef Conn *conn = &server.conn
    cdef uint32_t consumed = 0
    cdef uint32_t start = 0
    cdef uint32_t produced = 0
    cdef int result
    if server.trailers:
        return read_trailers(x, server)
    while True:
        if conn_available(conn) == 0:
            result = body_refill(conn)
            if result != BODY_DATA:
                return result
        result = chunk_decode(&server.chunks, conn_data(conn), conn_available(conn), &consumed, &start, &produced)
        if result == CHUNK_ERROR:
            return BODY_ERROR
        data[0] = conn_data(conn) + start
        length[0] = produced
        conn.input.start += consumed
        server.body_read += produced
        if unlikely(x.max_body != 0 and server.body_read > x.max_body):
            x.status = 413
            return BODY_ERROR
        if result == CHUNK_LAST:
            server.trailers = 1
            # Reading on might move the data that is being handed out
            if produced > 0 and not trailers_at_hand(server):
                return BODY_DATA
            return read_trailers(x, server)
        if produced > 0:
            return BODY_DATA


cdef bint trailers_at_hand(Server *server) noexcept nogil:
    """The common end, an empty trailer section, is in the buffer already."""
    cdef const char *rest
    if conn_available(&server.conn) < 2:
        return False
    rest = conn_data(&server.conn)
    return rest[0] == c'\r' and rest[1] == c'\n'


cdef int read_tunnel(Server *server, const char **data, size_t *length) noexcept nogil:
    cdef Conn *conn = &server.conn
    cdef int result
    if conn_available(conn) == 0:
        result = body_refill(conn)
        if result == BODY_GONE and conn.state & CONN_EOF and conn.error == 0:
            return BODY_END
        if result != BODY_DATA:
            return result
    data[0] = conn_data(conn)
    length[0] = conn_available(conn)
    conn.input.start = conn.input.end
    return BODY_DATA


cdef int server_read_body(Exchange *x, const char **data, size_t *length) noexcept nogil:
    cdef Server *server = <Server *>x.server
    cdef int result = BODY_END
    if server.framing == FRAMING_TUNNEL:
        return read_tunnel(server, data, length)
    if server.framing == FRAMING_LENGTH:
        result = read_length(server, data, length)
    elif server.framing == FRAMING_CHUNKED:
        result = read_chunked(x, server, data, length)
    if unlikely(server.conn.state & CONN_HUNG_UP) and result == BODY_END:
        # The client's FIN may lie behind the body, and no event will tell of it again
        watch_make_ready(&server.conn.watch)
    return result


cdef Conn *server_plain_source(Exchange *x, uint64_t **remaining) noexcept nogil:
    cdef Server *server = <Server *>x.server
    if server.conn.tls != NULL or conn_available(&server.conn) > 0:
        return NULL
    if unlikely(server.framing == FRAMING_TUNNEL):
        server.remaining = <uint64_t>TUNNEL_ENDLESS
    elif server.framing != FRAMING_LENGTH or (x.up == NULL and server.remaining < SPLICE_MIN):
        return NULL
    remaining[0] = &server.remaining
    return &server.conn
