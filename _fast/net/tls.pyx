"""See `tls.pxd`."""
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from tulle._fast.base.buf cimport BUF_SMALL, Buf, buf_room
from tulle._fast.base.list cimport list_append, list_empty, list_init, list_remove
from tulle._fast.base.types cimport likely, unlikely
from tulle._fast.net.certificate cimport (
    FORWARDED_MOST, PART_DNS, PART_SUBJECT, PART_URI, PRINCIPAL_AMBIGUOUS, PRINCIPAL_FOUND, PRINCIPAL_MOST,
    Certificate, certificate_forwarded, certificate_has_name, certificate_open, certificate_principal,
)
from tulle._fast.net.conn cimport (
    CONN_BLOCKED, CONN_BROKEN, CONN_BULK, CONN_DATA, CONN_DONE, CONN_END, CONN_EOF, CONN_ERROR, CONN_HANDSHAKE,
    CONN_HUNG_UP, CONN_READABLE, CONN_SHUT, conn_release_input, conn_write,
)
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.system cimport EAGAIN, EINTR, EPROTO, errno, iovec, recv
from tulle._fast.net.tls_context cimport (
    TLS_DOWNSTREAM, TLS_RAW_BYTES, TLS_RECORD, TLS_SET_FORWARD, TLS_SET_FORWARD_DNS, TLS_SET_FORWARD_SUBJECT,
    TLS_SET_FORWARD_URI, TLS_UPSTREAM, TlsName, tls_set_ref, tls_set_unref,
)
from tulle._fast.net.tls_library cimport (
    SSL_ERROR_WANT_READ, SSL_ERROR_ZERO_RETURN, SSL_R_ALERT_FIRST, SSL_R_ALERT_LAST, SSL_R_BAD_CERTIFICATE_VERIFY,
    SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, X509, X509_V_OK, TlsLibrary, tls_bio_data, tls_bio_new, tls_set_host_name,
)

cdef enum:
    STEPS_PER_TURN = 8                 # of handshakes, before established connections have their turn
    GREETING_MOST = 262144             # bytes that a peer may send before its handshake is over
    FIRST_READ = 16704                 # a record of full size
    DIGEST_MOST = 64                   # EVP_MAX_MD_SIZE
    RECORD_SMALL = 4096
    RECORD_SMALL_BYTES = 32768         # sent in small records after a pause
    RECORD_PAUSE = 1000000000          # ns
    BATCH = 65536                      # bytes that are encrypted before they are sent
    GROWN = 4096                       # bytes in a BIO after which it is replaced when nothing is under way
    SILENT_LEAST = 250000000           # ns that a client has for its first byte, whoever waits
    UNFINISHED_LEAST = 1000000000      # ns that it has for its handshake


# -- a session --------------------------------------------------------------------------------------------------------

cdef void session_free(TlsSession *session) noexcept nogil:
    if session.ssl != NULL:
        session.engine.library.SSL_free(session.ssl)
    tls_set_unref(session.tls_set)
    free(session.principal)
    free(session.forwarded)
    free(session)


cdef bint bios_make(TlsSession *session) noexcept nogil:
    """Two of them, empty; the session of OpenSSL owns them and frees those that it had."""
    cdef const TlsLibrary *library = &session.engine.library
    cdef BIO *received = tls_bio_new(library)
    cdef BIO *sending = tls_bio_new(library)
    if received == NULL or sending == NULL:
        library.BIO_free(received)
        library.BIO_free(sending)
        return False
    library.SSL_set_bio(session.ssl, received, sending)
    session.received = received
    session.sending = sending
    session.grown = 0
    return True


cdef TlsSession *session_begin(TlsEngine *engine, Conn *conn, TlsSet *tls_set, uint8_t side) noexcept nogil:
    cdef TlsSession *session = <TlsSession *>calloc(1, sizeof(TlsSession))
    if session == NULL:
        return NULL
    session.layer.ops = &engine.layer
    list_init(&session.node)
    session.conn = conn
    session.started = conn.watch.loop.now
    session.engine = engine
    session.tls_set = tls_set_ref(tls_set)
    session.side = side
    session.ssl = engine.library.SSL_new(tls_set.context)
    if session.ssl == NULL or not bios_make(session):
        session_free(session)
        return NULL
    conn.tls = &session.layer
    conn.state |= CONN_HANDSHAKE
    engine.handshaking[side] += 1
    return session


cdef int tls_accept(TlsEngine *engine, Conn *conn, TlsSet *tls_set) noexcept nogil:
    cdef TlsSession *session = session_begin(engine, conn, tls_set, TLS_DOWNSTREAM)
    if session == NULL:
        return -1
    list_append(&engine.silent, &session.node)
    engine.library.SSL_set_accept_state(session.ssl)
    return 0


cdef int tls_connect(
    TlsEngine *engine, Conn *conn, TlsSet *tls_set, SSL_SESSION *resumed, int offer
) noexcept nogil:
    cdef TlsSession *session = session_begin(engine, conn, tls_set, TLS_UPSTREAM)
    if session == NULL:
        return -1
    engine.library.SSL_set_connect_state(session.ssl)
    if tls_set.server_name != NULL:
        tls_set_host_name(&engine.library, session.ssl, tls_set.server_name)
    if resumed != NULL:
        engine.library.SSL_set_session(session.ssl, resumed)
    if likely(offer == TLS_OFFER_ALL):
        return 0
    if offer == TLS_OFFER_NONE:
        return -1 if engine.library.SSL_set_alpn_protos(session.ssl, NULL, 0) != 0 else 0
    return -1 if engine.library.SSL_set_alpn_protos(session.ssl, <const unsigned char *>b"\x08http/1.1", 9) != 0 else 0


cdef void handshake_over(Conn *conn, TlsSession *session) noexcept nogil:
    if conn.state & CONN_HANDSHAKE:
        conn.state &= ~<uint32_t>CONN_HANDSHAKE
        session.engine.handshaking[session.side] -= 1
        list_remove(&session.node)


cdef void tls_drop(Conn *conn) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    handshake_over(conn, session)
    conn.tls = NULL
    session_free(session)


cdef const char *tls_server_name(const Conn *conn) noexcept nogil:
    cdef const TlsSession *session = tls_of(conn)
    return session.engine.library.SSL_get_servername(session.ssl, 0)


cdef SSL_SESSION *tls_session_take(Conn *conn) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    return session.engine.library.SSL_get1_session(session.ssl)


# -- the socket's side ------------------------------------------------------------------------------------------------

cdef int pull(Conn *conn, TlsSession *session, size_t most) noexcept nogil:
    """One recv into the session. CONN_DATA, CONN_DONE when there is nothing now, CONN_END, or an error."""
    cdef ssize_t got
    if session.raw_ended:
        return CONN_END
    got = recv(conn.watch.fd, session.engine.raw, most, 0)
    if likely(got > 0):
        conn.bytes_received[0] += <uint64_t>got
        if <size_t>got < most and not conn.state & CONN_HUNG_UP:
            conn.state &= ~<uint32_t>CONN_READABLE
        if got > GROWN:
            session.grown = 1
        if unlikely(session.engine.library.BIO_write(session.received, session.engine.raw, <int>got) != got):
            conn.error = EPROTO
            return CONN_ERROR
        session.pending = 1
        return CONN_DATA
    if got == 0:
        session.raw_ended = 1
        return CONN_END
    if errno == EAGAIN or errno == EINTR:
        conn.state &= ~<uint32_t>CONN_READABLE
        return CONN_DONE
    conn.error = errno
    return CONN_ERROR


cdef int push(Conn *conn, TlsSession *session) noexcept nogil:
    """Send what the session has to say: a result of `conn_write`, the worst of several."""
    cdef int result = CONN_BLOCKED if conn.output != NULL else CONN_DONE
    cdef iovec piece
    cdef int got = TLS_RAW_BYTES
    while got == TLS_RAW_BYTES:
        got = session.engine.library.BIO_read(session.sending, session.engine.raw, TLS_RAW_BYTES)
        if got <= 0:
            break
        if got > GROWN:
            session.grown = 1
        piece.iov_base = session.engine.raw
        piece.iov_len = <size_t>got
        if result != CONN_ERROR:
            result = conn_write(conn, &piece, 1)
    return result


# -- handshake --------------------------------------------------------------------------------------------------------

cdef bint take_step(TlsEngine *engine, Conn *conn) noexcept nogil:
    """Whether this handshake may go on now; if not, it is called again in the next turn."""
    if engine.turn != conn.watch.loop.turns:
        engine.turn = conn.watch.loop.turns
        engine.steps = 0
    if engine.steps >= STEPS_PER_TURN:
        watch_make_ready(&conn.watch)
        return False
    engine.steps += 1
    return True


cdef bint is_plain_http(Conn *conn, TlsSession *session) noexcept nogil:
    """Whether a client that should begin with a record of the handshake type has sent the method of a request."""
    cdef char *data = NULL
    cdef long length = tls_bio_data(&session.engine.library, session.received, &data)
    cdef long index
    if session.side != TLS_DOWNSTREAM or length < 4:
        return False
    for index in range(3):
        if data[index] < c"A" or data[index] > c"Z":
            return False
    return True


cdef void advance(Conn *conn) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    cdef const TlsLibrary *library = &session.engine.library
    cdef int result = CONN_DATA
    cdef int outcome, error
    cdef uint64_t before
    if not take_step(session.engine, conn):
        return
    while True:
        if session.begun or session.side == TLS_DOWNSTREAM:
            if not conn.state & (CONN_READABLE | CONN_HUNG_UP):
                return
            before = conn.bytes_received[0]
            result = pull(conn, session, FIRST_READ)
            session.greeting += <uint32_t>(conn.bytes_received[0] - before)
            if result == CONN_DONE:
                return
            if result != CONN_DATA:
                fail(conn, session, TLS_FAILED_CLOSED, b"the peer has left during the handshake")
                return
            if not session.begun and is_plain_http(conn, session):
                fail(conn, session, TLS_FAILED_PLAIN, b"the client speaks plain HTTP")
                return
            if session.greeting > GREETING_MOST:
                fail(conn, session, TLS_FAILED_PROTOCOL, b"the handshake is too long")
                return
        if not session.begun:
            session.begun = 1
            if session.side == TLS_DOWNSTREAM:
                list_remove(&session.node)
                list_append(&session.engine.unfinished, &session.node)
        outcome = library.SSL_do_handshake(session.ssl)
        if outcome == 1:
            push(conn, session)
            finish(conn, session)
            return
        error = library.SSL_get_error(session.ssl, outcome)
        push(conn, session)
        if error != SSL_ERROR_WANT_READ:
            refused(conn, session)
            return


cdef inline TlsSession *session_of(Node *node) noexcept nogil:
    cdef TlsSession *null = NULL
    return <TlsSession *>(<char *>node - <size_t>&null.node)


cdef bint tls_displace(TlsEngine *engine, uint64_t now) noexcept nogil:
    cdef TlsSession *session = NULL
    if not list_empty(&engine.silent):
        session = session_of(engine.silent.next)
        if now - session.started < <uint64_t>SILENT_LEAST:
            session = NULL
    if session == NULL and not list_empty(&engine.unfinished):
        session = session_of(engine.unfinished.next)
        if now - session.started < <uint64_t>UNFINISHED_LEAST:
            session = NULL
    if session == NULL:
        return False
    fail(session.conn, session, TLS_FAILED_DISPLACED, b"another client has taken the place of its handshake")
    return True


cdef void fail(Conn *conn, TlsSession *session, uint8_t failure, const char *detail) noexcept nogil:
    """Count it and tell the owner, who closes."""
    handshake_over(conn, session)
    session.failure = failure
    session.detail = detail
    session.engine.figures[session.side].failures[failure] += 1
    session.engine.library.ERR_clear_error()
    conn.error = EPROTO
    conn.ops.connected(conn, EPROTO)


cdef void refused(Conn *conn, TlsSession *session) noexcept nogil:
    """OpenSSL has ended the handshake; its alert is on its way."""
    cdef const TlsLibrary *library = &session.engine.library
    cdef unsigned long code = library.ERR_get_error()
    cdef long verdict = library.SSL_get_verify_result(session.ssl)
    cdef uint32_t reason = <uint32_t>(code & 0x7FFFFF)
    cdef const char *words = library.ERR_reason_error_string(code)
    cdef uint8_t failure = TLS_FAILED_PROTOCOL
    if reason == SSL_R_BAD_CERTIFICATE_VERIFY and verdict != X509_V_OK:
        failure = TLS_FAILED_CERTIFICATE
        words = library.X509_verify_cert_error_string(verdict)
    elif reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        failure = TLS_FAILED_NO_CERTIFICATE
    elif SSL_R_ALERT_FIRST <= reason <= SSL_R_ALERT_LAST:
        failure = TLS_FAILED_ALERT
    if words == NULL:
        words = b"the handshake failed"
    fail(conn, session, failure, words)


cdef void finish(Conn *conn, TlsSession *session) noexcept nogil:
    """OpenSSL is content: what is left is whether the peer is the one that we want, and who it is."""
    cdef const TlsLibrary *library = &session.engine.library
    cdef const unsigned char *name = NULL
    cdef unsigned int length = 0
    library.ERR_clear_error()
    library.SSL_get0_alpn_selected(session.ssl, &name, &length)
    if length == 2 and memcmp(name, b"h2", 2) == 0:
        session.alpn = TLS_ALPN_H2
    elif length == 8 and memcmp(name, b"http/1.1", 8) == 0:
        session.alpn = TLS_ALPN_HTTP1
    if not check_peer(conn, session):
        return
    handshake_over(conn, session)
    session.reused = library.SSL_session_reused(session.ssl) == 1
    session.engine.figures[session.side].handshakes[0] += 1
    if session.reused:
        session.engine.figures[session.side].resumed[0] += 1
    session.pending = 1                # the first bytes may have come with the last of the handshake
    session.grown = 1                  # certificates went through both BIOs: larger than most requests
    conn.state |= CONN_READABLE
    conn.ops.connected(conn, 0)


cdef bint check_peer(Conn *conn, TlsSession *session) noexcept nogil:
    """Read the names of the peer's certificate. False: it is not the one, and the owner has been told."""
    cdef const TlsLibrary *library = &session.engine.library
    cdef X509 *peer = library.SSL_get_peer_certificate(session.ssl)
    cdef BIO *bio
    cdef char *der = NULL
    cdef Certificate certificate
    cdef long length = 0
    cdef uint8_t failure = TLS_FAILED_NOT
    cdef const char *detail = NULL
    if peer == NULL:
        if session.side == TLS_DOWNSTREAM:
            return True                # the handshake has failed already where one is required
        fail(conn, session, TLS_FAILED_NO_CERTIFICATE, b"the server has no certificate")
        return False
    bio = tls_bio_new(library)
    if bio != NULL and library.i2d_X509_bio(bio, peer) == 1:
        length = tls_bio_data(library, bio, &der)
    if length <= 0 or not certificate_open(&certificate, <const uint8_t *>der, <uint32_t>length):
        failure = TLS_FAILED_CERTIFICATE
        detail = b"the certificate is malformed"
    elif session.side == TLS_DOWNSTREAM:
        if take_principal(session, &certificate) < 0:
            failure = TLS_FAILED_CERTIFICATE
            detail = b"the certificate does not have exactly one valid SPIFFE identity"
        elif session.tls_set.flags & TLS_SET_FORWARD and not take_forwarded(session, peer, &certificate):
            failure = TLS_FAILED_CERTIFICATE
            detail = b"there is no memory for what is to be forwarded of the certificate"
    elif not is_expected(session.tls_set, &certificate):
        failure = TLS_FAILED_NAME
        detail = b"the server's certificate is not for the name that is expected"
    library.BIO_free(bio)
    library.X509_free(peer)
    if failure == TLS_FAILED_NOT:
        return True
    fail(conn, session, failure, detail)
    return False


cdef int take_principal(TlsSession *session, const Certificate *certificate) noexcept nogil:
    cdef char text[PRINCIPAL_MOST]
    cdef uint32_t length = 0
    cdef int result = certificate_principal(certificate, text, &length)
    if result == PRINCIPAL_AMBIGUOUS:
        return -1
    if result == PRINCIPAL_FOUND:
        session.principal = <char *>malloc(length)
        if session.principal == NULL:
            return -1
        memcpy(session.principal, text, length)
        session.principal_length = length
    return 0


cdef bint take_forwarded(TlsSession *session, const X509 *peer, const Certificate *certificate) noexcept nogil:
    cdef const TlsLibrary *library = &session.engine.library
    cdef uint32_t flags = session.tls_set.flags
    cdef unsigned char digest[DIGEST_MOST]
    cdef unsigned int digest_length = 0
    cdef char text[FORWARDED_MOST]
    cdef uint32_t parts = 0
    if flags & TLS_SET_FORWARD_SUBJECT:
        parts |= PART_SUBJECT
    if flags & TLS_SET_FORWARD_URI:
        parts |= PART_URI
    if flags & TLS_SET_FORWARD_DNS:
        parts |= PART_DNS
    if library.X509_digest(peer, library.EVP_get_digestbyname(b"SHA256"), digest, &digest_length) != 1:
        return False
    session.forwarded_length = certificate_forwarded(certificate, digest, digest_length, parts, text)
    session.forwarded = <char *>malloc(session.forwarded_length)
    if session.forwarded == NULL:
        return False
    memcpy(session.forwarded, text, session.forwarded_length)
    return True


cdef bint is_expected(const TlsSet *tls_set, const Certificate *certificate) noexcept nogil:
    cdef const TlsName *name
    cdef uint32_t index
    for index in range(tls_set.name_count):
        name = tls_set.names + index
        if name.kind != 0 and certificate_has_name(certificate, name.kind, name.text, name.length):
            return True
    return False


cdef void tls_timed_out(Conn *conn) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    session.failure = TLS_FAILED_TIMEOUT
    session.detail = b"the handshake took too long"
    session.engine.figures[session.side].failures[<int>TLS_FAILED_TIMEOUT] += 1


cdef void tls_not_agreed(Conn *conn, const char *detail) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    session.failure = TLS_FAILED_PROTOCOL
    session.detail = detail
    session.engine.figures[session.side].failures[<int>TLS_FAILED_PROTOCOL] += 1


# -- input ------------------------------------------------------------------------------------------------------------

cdef int decrypt(TlsSession *session, Buf *input) noexcept nogil:
    """CONN_DATA: there may be more than `input` has room for; CONN_DONE: that was all; CONN_END, CONN_ERROR."""
    cdef const TlsLibrary *library = &session.engine.library
    cdef char *data = NULL
    cdef uint32_t room = buf_room(input)
    cdef int got
    while room > 0:
        got = library.SSL_read(session.ssl, input.data + input.end, <int>room)
        if got <= 0:
            return after_read(session, got)
        input.end += <uint32_t>got
        room -= <uint32_t>got
        if library.SSL_pending(session.ssl) == 0 and tls_bio_data(library, session.received, &data) == 0:
            session.pending = 0
            return CONN_DONE
    return CONN_DATA


cdef int after_read(TlsSession *session, int result) noexcept nogil:
    """What it means that there were no bytes."""
    cdef const TlsLibrary *library = &session.engine.library
    cdef int error = library.SSL_get_error(session.ssl, result)
    session.pending = 0
    if error == SSL_ERROR_WANT_READ:
        return CONN_DONE
    library.ERR_clear_error()
    if error == SSL_ERROR_ZERO_RETURN:
        session.ended = 1
        return CONN_END
    session.failure = TLS_FAILED_PROTOCOL
    return CONN_ERROR


cdef int end(Conn *conn, int error) noexcept nogil:
    """No more input: `close_notify`, or an errno that tells why there was none."""
    conn.state |= CONN_EOF
    conn.state &= ~<uint32_t>CONN_READABLE
    conn_release_input(conn)
    if error == 0:
        return CONN_END
    conn.error = error
    conn.state |= CONN_BROKEN
    return CONN_ERROR


cdef int fail_input(Conn *conn, TlsSession *session) noexcept nogil:
    """A record that cannot be read: say so, and have done with it in both directions."""
    push(conn, session)
    return end(conn, EPROTO)


cdef void note_size(Conn *conn, uint32_t got) noexcept nogil:
    """A peer that sends much gets large buffers, until it does so no longer."""
    if got >= BUF_SMALL // 2 and conn.state & CONN_READABLE:
        conn.state |= CONN_BULK
    elif conn.state & CONN_BULK and got < BUF_SMALL:
        conn.state &= ~<uint32_t>CONN_BULK


cdef int fill(Conn *conn) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    cdef Buf *input = conn.input
    cdef uint32_t before = input.end
    cdef int result = CONN_END if session.ended else CONN_DONE
    while True:
        if session.pending:
            result = decrypt(session, input)
        if input.end > before:
            # The end, or what there was no room for, is told when there is nothing else to tell
            if session.pending or session.ended or result == CONN_ERROR:
                conn.state |= CONN_READABLE
            note_size(conn, input.end - before)
            return CONN_DATA
        if result == CONN_END:
            return end(conn, 0)
        if result == CONN_ERROR or session.failure != TLS_FAILED_NOT:
            return fail_input(conn, session)
        if not conn.state & (CONN_READABLE | CONN_HUNG_UP):
            conn_release_input(conn)
            return CONN_DONE
        result = pull(conn, session, BATCH if conn.state & CONN_BULK else FIRST_READ)
        if result == CONN_DONE:
            conn_release_input(conn)
            return CONN_DONE
        if result == CONN_END:
            return end(conn, EPROTO)
        if result == CONN_ERROR:
            return end(conn, conn.error)


cdef bint is_quiet(Conn *conn) noexcept nogil:
    """Tickets and the like are read on the way: they are nothing to the owner."""
    cdef TlsSession *session = tls_of(conn)
    cdef char byte
    cdef int result = CONN_DATA
    while True:
        if session.pending:
            result = session.engine.library.SSL_peek(session.ssl, &byte, 1)
            if result > 0:
                conn.state |= CONN_READABLE
                return False
            result = after_read(session, result)
        if session.ended or session.failure != TLS_FAILED_NOT:
            conn.state |= CONN_EOF
            return False
        if result == CONN_DONE and session.raw_ended:
            conn.state |= CONN_EOF
            return False
        result = pull(conn, session, FIRST_READ)
        if result == CONN_DONE:
            return True
        if result != CONN_DATA:
            conn.state |= CONN_EOF
            return False


# -- output -----------------------------------------------------------------------------------------------------------

cdef inline size_t record_size(Conn *conn, TlsSession *session, size_t total) noexcept nogil:
    cdef uint64_t now = conn.watch.loop.now
    cdef uint32_t written = session.written
    if now - session.wrote > RECORD_PAUSE:
        written = 0
    session.wrote = now
    session.written = written + <uint32_t>total if written + total < <size_t>RECORD_SMALL_BYTES else RECORD_SMALL_BYTES
    return RECORD_SMALL if written < RECORD_SMALL_BYTES else TLS_RECORD


cdef inline bint encrypt(TlsSession *session, const char *data, size_t length) noexcept nogil:
    return session.engine.library.SSL_write(session.ssl, data, <int>length) == <int>length


cdef int send_pieces(Conn *conn, iovec *pieces, uint32_t count) noexcept nogil:
    """Records of one size out of pieces of any; short ones are put together."""
    cdef TlsSession *session = tls_of(conn)
    cdef char *text = session.engine.text
    cdef const char *data
    cdef size_t left, part, size
    cdef size_t total = 0
    cdef size_t used = 0
    cdef size_t batch = 0
    cdef uint32_t index
    if unlikely(conn.state & (CONN_BROKEN | CONN_SHUT)):
        return CONN_ERROR
    for index in range(count):
        total += pieces[index].iov_len
    if total == 0:
        return CONN_BLOCKED if conn.output != NULL else CONN_DONE
    size = record_size(conn, session, total)
    for index in range(count):
        data = <const char *>pieces[index].iov_base
        left = pieces[index].iov_len
        while left > 0:
            part = size - used if left > size - used else left
            if used == 0 and (part == size or index == count - 1):
                if unlikely(not encrypt(session, data, part)):
                    return broken(conn, session)
                batch += part
            else:
                memcpy(text + used, data, part)
                used += part
                if used == size:
                    if unlikely(not encrypt(session, text, used)):
                        return broken(conn, session)
                    batch += used
                    used = 0
            data += part
            left -= part
            if batch >= BATCH:
                batch = 0
                if unlikely(push(conn, session) == CONN_ERROR):
                    return CONN_ERROR
    if used > 0 and unlikely(not encrypt(session, text, used)):
        return broken(conn, session)
    return push(conn, session)


cdef int broken(Conn *conn, TlsSession *session) noexcept nogil:
    session.engine.library.ERR_clear_error()
    conn.error = EPROTO
    conn.state |= CONN_BROKEN
    return CONN_ERROR


cdef bint may_speak(const Conn *conn, const TlsSession *session) noexcept nogil:
    return session.failure == TLS_FAILED_NOT and not conn.state & (CONN_HANDSHAKE | CONN_BROKEN | CONN_SHUT)


cdef void shut(Conn *conn) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    if may_speak(conn, session):
        session.engine.library.SSL_shutdown(session.ssl)
        push(conn, session)


cdef void rest(Conn *conn) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    if unlikely(session.grown) and not session.pending:
        bios_make(session)


cdef void close_session(Conn *conn, bint reset) noexcept nogil:
    cdef TlsSession *session = tls_of(conn)
    # What is queued is lost with the connection: whoever misses it must not be told that it was all
    if not reset and conn.output == NULL:
        shut(conn)
    handshake_over(conn, session)
    session_free(session)


cdef void tls_install(TlsEngine *engine) noexcept nogil:
    engine.layer.fill = fill
    engine.layer.send = send_pieces
    engine.layer.advance = advance
    engine.layer.is_quiet = is_quiet
    engine.layer.shutdown = shut
    engine.layer.rest = rest
    engine.layer.close = close_session
