"""See `introduction.pxd`. The header's forms are in `http/proxy_header`."""
from libc.string cimport memcpy, memset

from tulle._fast.base.siphash cimport SipHash, SipKey, sip_begin, sip_end, sip_feed
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t
from tulle._fast.flow.types cimport Exchange
from tulle._fast.http.proxy_header cimport PROXY_HEADER_ROOM, ProxyHeader, proxy_header_write
from tulle._fast.net.address cimport ADDRESS_TEXT, address_bytes
from tulle._fast.net.conn cimport conn_write
from tulle._fast.net.system cimport iovec


cdef uint64_t introduction_of(const Attempt *attempt) noexcept nogil:
    cdef const Exchange *x = attempt.exchange
    cdef SipHash hash
    cdef SipKey secret
    cdef uint64_t name
    secret.low = x.worker.shared.secret[0]
    secret.high = x.worker.shared.secret[1]
    sip_begin(&hash, secret)
    sip_feed(&hash, x.peer, x.peer_length)
    sip_feed(&hash, <const char *>&x.peer_port, sizeof(x.peer_port))
    sip_feed(&hash, <const char *>&x.listener_id, sizeof(x.listener_id))
    name = sip_end(&hash)
    return name if name != 0 else 1


cdef uint32_t split_port(const char *text, uint32_t length, uint16_t *port) noexcept nogil:
    """Of "127.0.0.1:80" or "[::1]:80": the bytes of the address."""
    cdef uint32_t colon = length
    cdef uint32_t value = 0
    cdef uint32_t index
    while colon > 0 and text[colon - 1] != c':':
        colon -= 1
    if colon == 0:
        return 0
    for index in range(colon, length):
        value = value * 10 + <uint32_t>(text[index] - c'0')
    port[0] = <uint16_t>value
    return colon - 1


cdef bint is_mapped(const uint8_t *address) noexcept nogil:
    """::ffff:a.b.c.d (RFC 4291 section 2.5.5.2)."""
    cdef int index
    for index in range(10):
        if address[index] != 0:
            return False
    return address[10] == 0xff and address[11] == 0xff


cdef void fill_header(Exchange *x, ProxyHeader *header) noexcept nogil:
    cdef char local[ADDRESS_TEXT]
    cdef uint32_t length = x.server_ops.local_address(x, local)
    memset(header, 0, sizeof(ProxyHeader))
    length = split_port(local, length, &header.destination_port)
    if not (
        address_bytes(x.peer, x.peer_length, header.source) and address_bytes(local, length, header.destination)
    ):
        return
    header.source_port = x.peer_port
    header.family = 6
    if is_mapped(header.source) and is_mapped(header.destination):
        header.family = 4
        memcpy(header.source, header.source + 12, 4)
        memcpy(header.destination, header.destination + 12, 4)


cdef void introduction_queue(Upstream *upstream, Attempt *attempt) noexcept nogil:
    cdef char out[PROXY_HEADER_ROOM]
    cdef ProxyHeader header
    cdef iovec piece
    upstream.introduced = introduction_of(attempt)
    fill_header(attempt.exchange, &header)
    piece.iov_base = out
    piece.iov_len = proxy_header_write(out, &header, <int>upstream.host.cluster.config.proxy_protocol)
    conn_write(&upstream.conn, &piece, 1)
