"""See `client_body.pxd`."""
from tulle._fast.base.slab cimport slab_get
from tulle._fast.base.types cimport likely, uint32_t
from tulle._fast.flow.types cimport BODY_DATA, BODY_END, BODY_ERROR, BODY_GONE, BODY_MORE
from tulle._fast.http.h1_chunk cimport CHUNK_ERROR, CHUNK_LAST, chunk_decode, chunk_init
from tulle._fast.http.h1_connection cimport connection_names_drop, connection_names_keep
from tulle._fast.http.h1_parse cimport PARSE_DONE, PARSE_MORE, ParseLimits, h1_message_init, h1_parse_trailers
from tulle._fast.http.message cimport FRAMING_CHUNKED, FRAMING_LENGTH
from tulle._fast.net.conn cimport (
    CONN_BROKEN, CONN_DATA, CONN_DONE, CONN_EOF, CONN_FULL, CONN_HUNG_UP, CONN_READABLE, Conn, conn_available,
    conn_data, conn_fill, conn_grow, conn_release_input,
)

cdef enum:
    TRAILER_BYTES = 8192
    TRAILER_FIELDS = 32


cdef void client_body_begin(Upstream *upstream, const Message *message) noexcept nogil:
    upstream.framing = message.framing
    upstream.remaining = message.content_length
    upstream.trailers = 0
    if message.framing == FRAMING_CHUNKED:
        chunk_init(&upstream.chunks)
        connection_names_keep(&upstream.names, message)


cdef int body_refill(Conn *conn, bint refill) noexcept nogil:
    cdef int result
    if not refill:
        return BODY_MORE
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


cdef int read_length(Upstream *upstream, bint refill, const char **data, size_t *length) noexcept nogil:
    cdef Conn *conn = &upstream.conn
    cdef uint32_t available = conn_available(conn)
    cdef int result
    if available == 0:
        if upstream.remaining == 0:
            return BODY_END
        result = body_refill(conn, refill)
        if result != BODY_DATA:
            return result
        available = conn_available(conn)
    if available > upstream.remaining:
        available = <uint32_t>upstream.remaining
    data[0] = conn_data(conn)
    length[0] = available
    conn.input.start += available
    upstream.remaining -= available
    return BODY_END if upstream.remaining == 0 else BODY_DATA


cdef int read_until_close(Upstream *upstream, bint refill, const char **data, size_t *length) noexcept nogil:
    """Also a tunnel. Only an orderly end is an end."""
    cdef Conn *conn = &upstream.conn
    cdef int result
    if conn_available(conn) == 0:
        result = body_refill(conn, refill)
        if result == BODY_GONE and conn.state & CONN_EOF and not conn.state & CONN_BROKEN:
            return BODY_END
        if result != BODY_DATA:
            return result
    data[0] = conn_data(conn)
    length[0] = conn_available(conn)
    conn.input.start = conn.input.end
    return BODY_DATA


cdef int read_trailers(Upstream *upstream, bint refill) noexcept nogil:
    cdef Conn *conn = &upstream.conn
    cdef ParseLimits limits
    cdef int result
    limits.head = TRAILER_BYTES
    limits.line = TRAILER_BYTES
    limits.fields = TRAILER_FIELDS
    if upstream.trailer_section == NULL:
        upstream.trailer_section = <Message *>slab_get(&upstream.worker.messages_slab)
        if upstream.trailer_section == NULL:
            return BODY_ERROR
        h1_message_init(upstream.trailer_section)
    while True:
        if conn_available(conn) > 0:
            result = h1_parse_trailers(upstream.trailer_section, conn_data(conn), conn_available(conn), &limits)
            if result == PARSE_DONE:
                upstream.trailer_section.base = conn_data(conn)
                conn.input.start += upstream.trailer_section.head_length
                if upstream.trailer_section.field_count > 0:
                    connection_names_drop(&upstream.names, upstream.trailer_section)
                    upstream.attempt.exchange.trailers = upstream.trailer_section
                return BODY_END
            if result != PARSE_MORE:
                return BODY_ERROR
        result = body_refill(conn, refill)
        if result != BODY_DATA:
            return result


cdef bint trailers_at_hand(const Conn *conn) noexcept nogil:
    """The common end, an empty trailer section, is in the buffer already."""
    cdef const char *rest
    if conn_available(conn) < 2:
        return False
    rest = conn.input.data + conn.input.start
    return rest[0] == c'\r' and rest[1] == c'\n'


cdef int read_chunked(Upstream *upstream, bint refill, const char **data, size_t *length) noexcept nogil:
    cdef Conn *conn = &upstream.conn
    cdef uint32_t consumed = 0
    cdef uint32_t start = 0
    cdef uint32_t produced = 0
    cdef int result
    if upstream.trailers:
        return read_trailers(upstream, refill)
    while True:
        if conn_available(conn) == 0:
            result = body_refill(conn, refill)
            if result != BODY_DATA:
                return result
        result = chunk_decode(&upstream.chunks, conn_data(conn), conn_available(conn), &consumed, &start, &produced)
        if result == CHUNK_ERROR:
            return BODY_ERROR
        data[0] = conn_data(conn) + start
        length[0] = produced
        conn.input.start += consumed
        if result == CHUNK_LAST:
            upstream.trailers = 1
            # Reading on might move the data that is being handed out
            if produced > 0 and not trailers_at_hand(conn):
                return BODY_DATA
            return read_trailers(upstream, refill)
        if produced > 0:
            return BODY_DATA


cdef int client_read_body(Upstream *upstream, bint refill, const char **data, size_t *length) noexcept nogil:
    if upstream.framing == FRAMING_LENGTH:
        return read_length(upstream, refill, data, length)
    if upstream.framing == FRAMING_CHUNKED:
        return read_chunked(upstream, refill, data, length)
    return read_until_close(upstream, refill, data, length)
