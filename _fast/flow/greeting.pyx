"""See `greeting.pxd`."""
from libc.string cimport memcpy, memset

from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport likely, uint8_t, uint16_t, uint32_t, uint64_t, unlikely
from tulle._fast.flow.exchange cimport listener_find
from tulle._fast.flow.secure cimport secure_accept
from tulle._fast.flow.server_h1 cimport (
    server_bury, server_close, server_connected, server_drained, server_listen,
)
from tulle._fast.flow.server_tcp cimport tcp_begin, tcp_begin_named, tcp_begin_unnamed
from tulle._fast.http.detection cimport (
    DETECTED_HTTP1, DETECTED_HTTP2, DETECTED_MORE, DETECTED_PORT, DETECTED_SILENT, DETECTED_TCP, DETECTED_TLS,
    DETECTION_BYTES, detect, detected_pack,
)
from tulle._fast.http.proxy_header cimport (
    PROXY_HEADER_DONE, PROXY_HEADER_MAX, PROXY_HEADER_MORE, PROXY_HEADER_NONE, ProxyHeader, proxy_header_read,
)
from tulle._fast.net.address cimport address_of_peer, address_port
from tulle._fast.net.conn cimport (
    CONN_DATA, CONN_DONE, CONN_END, CONN_FULL, CONN_HUNG_UP, CONN_READABLE, Conn, conn_available, conn_data, conn_fill,
    conn_is_quiet,
)
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.system cimport (
    AF_INET, AF_INET6, EAGAIN, EINTR, MSG_DONTWAIT, MSG_PEEK, errno, getsockname, htons, recv, sockaddr, sockaddr_in,
    sockaddr_in6, sockaddr_storage, socklen_t,
)
from tulle._fast.net.tls cimport TLS_ALPN_H2, TLS_ALPN_NONE, conn_alpn
from tulle._fast.policy.greeting cimport (
    PROXY_OFF, PROXY_REQUIRED, GreetingEntry, greeting_believes, greeting_silence,
)
from tulle._fast.policy.image cimport PROTOCOL_AUTO, PROTOCOL_TCP, image_at

cdef enum:
    ENDED = -1                         # of a peek: the client's FIN
    BROKEN = -2


cdef inline const GreetingEntry *greeting_of(const ListenerEntry *listener, const Table *table) noexcept nogil:
    return <const GreetingEntry *>image_at(table.image, listener.greeting)


cdef void count_header(Server *server, int outcome) noexcept nogil:
    (&server.worker.lane.header.proxy_header_accepted)[outcome] += 1


cdef void count_detected(Server *server, int found) noexcept nogil:
    cdef uint64_t *row = &server.worker.lane.header.detected_plain_http1
    if server.stage == GREETING_DETECT:
        server.detected = detected_pack(found, 0, 0)
    else:
        row = &server.worker.lane.header.detected_tls_http1
        server.detected = detected_pack(DETECTED_TLS, found, 0)
    row[found - 1] += 1


cdef void set_timer(Server *server, uint64_t time) noexcept nogil:
    timer_set(&server.worker.loop.timers, &server.conn.timer, server.worker.loop.now + time)


cdef int peek(Server *server, char *data, uint32_t size) noexcept nogil:
    """How many bytes there are to look at; 0: none yet, ENDED, BROKEN."""
    cdef ssize_t got = recv(server.conn.watch.fd, data, size, MSG_PEEK | MSG_DONTWAIT)
    if got > 0:
        return <int>got
    if got == 0:
        return ENDED
    return 0 if errno == EAGAIN or errno == EINTR else BROKEN


cdef void await_more(Server *server) noexcept nogil:
    # All that is here has been looked at: the next byte makes the next edge
    server.conn.state &= ~<uint32_t>CONN_READABLE


# -- the PROXY header -------------------------------------------------------------------------------------------------

cdef void put_address(
    char *out, uint8_t *length, const uint8_t *address, uint8_t family, uint16_t port
) noexcept nogil:
    cdef sockaddr_in *v4 = <sockaddr_in *>out
    cdef sockaddr_in6 *v6 = <sockaddr_in6 *>out
    memset(out, 0, sizeof(sockaddr_in6))
    if family == 4:
        v4.sin_family = <uint16_t>AF_INET
        v4.sin_port = htons(port)
        memcpy(&v4.sin_addr, address, 4)
        length[0] = sizeof(sockaddr_in)
    else:
        v6.sin6_family = <uint16_t>AF_INET6
        v6.sin6_port = htons(port)
        memcpy(&v6.sin6_addr, address, 16)
        length[0] = sizeof(sockaddr_in6)


cdef void refuse_header(Server *server, int outcome) noexcept nogil:
    count_header(server, outcome)
    server_close(server, True)


cdef bint header_taken(Server *server, const GreetingEntry *greeting) noexcept nogil:
    """False: it is not whole yet, or the connection is closed."""
    cdef char data[PROXY_HEADER_MAX]
    cdef ProxyHeader header
    cdef int got = peek(server, data, PROXY_HEADER_MAX)
    cdef int result
    if got < 0:
        if got == ENDED and greeting.proxy != PROXY_REQUIRED:
            count_header(server, PROXY_HEADER_ABSENT)
            return True
        server_close(server, False)
        return False
    result = proxy_header_read(data, <uint32_t>got, &header)
    if result == PROXY_HEADER_MORE:
        if server.conn.state & CONN_HUNG_UP:
            refuse_header(server, PROXY_HEADER_MALFORMED)
        else:
            await_more(server)
        return False
    if result == PROXY_HEADER_NONE and greeting.proxy != PROXY_REQUIRED:
        count_header(server, PROXY_HEADER_ABSENT)
        return True
    if unlikely(result != PROXY_HEADER_DONE):
        refuse_header(server, PROXY_HEADER_MISSING if result == PROXY_HEADER_NONE else PROXY_HEADER_MALFORMED)
        return False
    if recv(server.conn.watch.fd, data, header.length, MSG_DONTWAIT) != <ssize_t>header.length:
        server_close(server, True)
        return False
    server.conn.bytes_received[0] += header.length
    if header.family != 0:
        put_address(server.address, &server.address_length, header.source, header.family, header.source_port)
        put_address(server.local, &server.local_length, header.destination, header.family, header.destination_port)
    count_header(server, PROXY_HEADER_ACCEPTED)
    return True


cdef bint is_believed(Server *server, const GreetingEntry *greeting, const Table *table) noexcept nogil:
    """Whoever reaches a Unix socket is let in by the rights of its file."""
    cdef uint8_t address[16]
    if not address_of_peer(server.address, server.address_length, address):
        return True
    return greeting_believes(table.image, greeting, address)


cdef void greeting_begin(Server *server, const ListenerEntry *listener, Table *table) noexcept nogil:
    cdef const GreetingEntry *greeting = greeting_of(listener, table)
    server.conn.ops = &server.worker.greeting_conn
    if greeting.proxy != PROXY_OFF:
        if is_believed(server, greeting, table):
            server.stage = GREETING_HEADER
            set_timer(server, greeting.header_timeout)
            return
        if greeting.proxy == PROXY_REQUIRED:
            refuse_header(server, PROXY_HEADER_UNTRUSTED)
            return
    greeting_go_on(server, listener, table)


# -- detection --------------------------------------------------------------------------------------------------------

cdef uint32_t port_of(Server *server) noexcept nogil:
    """What the client has connected to, as far as the PROXY header, a redirection or this socket tells."""
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    if server.local_length > 0:
        return address_port(server.local, server.local_length)
    if server.meant != NULL and server.meant.length > 0:
        return address_port(server.meant.address, server.meant.length)
    if getsockname(server.conn.watch.fd, <sockaddr *>&address, &length) < 0:
        return 0
    return address_port(&address, length)


cdef void greeting_go_on(Server *server, const ListenerEntry *listener, Table *table) noexcept nogil:
    """There is no header any more in front of the connection's own bytes."""
    if listener.protocol != PROTOCOL_AUTO:
        greeting_end(server, listener, table, listener.tls != 0)
        return
    server.stage = GREETING_DETECT
    await_first(server, greeting_of(listener, table), listener, table)


cdef void await_first(
    Server *server, const GreetingEntry *greeting, const ListenerEntry *listener, Table *table
) noexcept nogil:
    cdef uint64_t silence = greeting_silence(table.image, greeting, port_of(server))
    if silence == 0:
        greeting_found(server, DETECTED_PORT, listener, table)
        return
    set_timer(server, silence)
    if server.conn.state & (CONN_READABLE | CONN_HUNG_UP):
        watch_make_ready(&server.conn.watch)


cdef void detect_plain(Server *server, const ListenerEntry *listener, Table *table) noexcept nogil:
    cdef char data[DETECTION_BYTES]
    cdef int got = peek(server, data, DETECTION_BYTES)
    cdef int found
    if got == BROKEN:
        server_close(server, False)
        return
    if got == ENDED:
        greeting_found(server, DETECTED_SILENT, listener, table)
        return
    found = detect(data, <uint32_t>got)
    if found == DETECTED_MORE and server.conn.state & CONN_HUNG_UP:
        found = DETECTED_TCP           # its end is behind what it has said
    if found == DETECTED_MORE:
        await_more(server)
        begun(server, <uint32_t>got, listener)
        return
    greeting_found(server, found, listener, table)


cdef void detect_inside(Server *server, const ListenerEntry *listener, Table *table) noexcept nogil:
    cdef Conn *conn = &server.conn
    cdef int found = DETECTED_MORE
    cdef int result = CONN_DATA
    while True:
        if conn_available(conn) > 0:
            found = detect(conn_data(conn), conn_available(conn))
        if found != DETECTED_MORE or result != CONN_DATA or not conn.state & (CONN_READABLE | CONN_HUNG_UP):
            break
        result = conn_fill(conn)
    if found == DETECTED_MORE:
        if result == CONN_DATA or result == CONN_DONE:
            begun(server, conn_available(conn), listener)
            return
        if result != CONN_END and result != CONN_FULL:
            server_close(server, False)
            return
        found = DETECTED_TCP if conn_available(conn) > 0 else DETECTED_SILENT
    greeting_found(server, found, listener, table)


cdef void begun(Server *server, uint32_t length, const ListenerEntry *listener) noexcept nogil:
    """Something may be coming: from its first byte on it has the time of a request head."""
    if length > 0 and not server.parsing:
        server.parsing = 1
        set_timer(server, listener.head_timeout)


cdef void greeting_found(Server *server, int found, const ListenerEntry *listener, Table *table) noexcept nogil:
    cdef bint inside = server.stage == GREETING_INSIDE
    server.parsing = 0
    if not inside:
        server.conn.state |= CONN_READABLE         # what was looked at is still there
    count_detected(server, found)
    if found == DETECTED_HTTP1 or found == DETECTED_HTTP2:
        greeting_end(server, listener, table, False)
        return
    if found == DETECTED_TLS and not inside:
        if listener.tls != 0:
            greeting_end(server, listener, table, True)
        else:
            server.stage = GREETING_OVER
            server_listen(server, listener)
            tcp_begin_named(server)
            go(server)
        return
    server.stage = GREETING_OVER
    tcp_begin_unnamed(server)
    go(server)


# -- handing over -----------------------------------------------------------------------------------------------------

cdef void go(Server *server) noexcept nogil:
    """Whoever has it now gets what is here already."""
    if server.conn.state & (CONN_READABLE | CONN_HUNG_UP) or server.conn.input != NULL:
        watch_make_ready(&server.conn.watch)


cdef void greeting_end(Server *server, const ListenerEntry *listener, Table *table, bint tls) noexcept nogil:
    """To the protocol of the listener, or to HTTP where that was found; by way of a handshake with `tls`."""
    if tls:
        if listener.protocol == PROTOCOL_AUTO:
            server.stage = GREETING_TLS
        else:
            server.stage = GREETING_OVER
            server.conn.ops = &server.worker.server_conn
        if not secure_accept(server.worker, &server.conn, listener, table):
            server_close(server, True)
            return
    else:
        server.stage = GREETING_OVER
        server.conn.ops = &server.worker.server_conn
        server_listen(server, listener)
    if listener.protocol == PROTOCOL_TCP:
        tcp_begin(server, table.image, listener)
    go(server)


cdef void greeting_connected(Conn *conn, int error) noexcept nogil:
    """The handshake is over; what both have agreed on in it needs no detection."""
    cdef Server *server = <Server *>conn
    cdef const ListenerEntry *listener
    cdef Table *table
    cdef int alpn
    listener = listener_find(server.worker, server.listener_id, &table)
    if unlikely(listener == NULL):
        server_close(server, False)
        return
    alpn = conn_alpn(conn) if likely(error == 0) else TLS_ALPN_NONE
    server.stage = GREETING_INSIDE
    if error == 0 and alpn == TLS_ALPN_NONE and listener.greeting != 0:
        await_first(server, greeting_of(listener, table), listener, table)
        return
    if error == 0:
        count_detected(server, DETECTED_HTTP2 if alpn == TLS_ALPN_H2 else DETECTED_HTTP1)
    server.stage = GREETING_OVER
    conn.ops = &server.worker.server_conn
    server_connected(conn, error)


cdef void greeting_input(Conn *conn) noexcept nogil:
    cdef Server *server = <Server *>conn
    cdef const ListenerEntry *listener
    cdef Table *table
    listener = listener_find(server.worker, server.listener_id, &table)
    if unlikely(listener == NULL):
        server_close(server, False)
    elif unlikely(listener.greeting == 0):
        # A reload has taken it away meanwhile
        greeting_end(server, listener, table, server.stage != GREETING_INSIDE and listener.tls != 0)
    elif server.stage == GREETING_HEADER:
        if header_taken(server, greeting_of(listener, table)):
            greeting_go_on(server, listener, table)
    elif server.stage == GREETING_DETECT:
        detect_plain(server, listener, table)
    elif server.stage == GREETING_INSIDE:
        detect_inside(server, listener, table)


cdef void greeting_timeout(Conn *conn, uint64_t now) noexcept nogil:
    """Nothing was said in time, or too little of it; or there has been a drain."""
    cdef Server *server = <Server *>conn
    cdef const ListenerEntry *listener
    cdef Table *table
    listener = listener_find(server.worker, server.listener_id, &table)
    if listener == NULL or listener.greeting == 0 or server.closing:
        server_close(server, False)
    elif server.stage == GREETING_TLS:
        conn.ops = &server.worker.server_conn
        conn.ops.timeout(conn, now)
    elif server.stage != GREETING_HEADER:
        greeting_found(server, DETECTED_TCP if server.parsing else DETECTED_SILENT, listener, table)
    elif greeting_of(listener, table).proxy == PROXY_REQUIRED or not conn_is_quiet(conn):
        refuse_header(server, PROXY_HEADER_LATE)
    else:
        count_header(server, PROXY_HEADER_ABSENT)
        greeting_go_on(server, listener, table)


cdef void greeting_install(Worker *worker) noexcept nogil:
    worker.greeting_conn.connected = greeting_connected
    worker.greeting_conn.input = greeting_input
    worker.greeting_conn.drained = server_drained
    worker.greeting_conn.timeout = greeting_timeout
    worker.greeting_conn.bury = server_bury
