"""WebSocket and other tunnels with a host over HTTP/2: extended CONNECT (RFC 8441), whatever the client speaks.

HTTP/1 asks by Upgrade, HTTP/2 by `:protocol`; either becomes a CONNECT with `:protocol`, and an answer of 2xx is the
beginning of a tunnel. Of HTTP/1 that is done for WebSocket alone, whose handshake can be answered here. A host takes no
such request before its SETTINGS have said so (section 3): until then requests wait, and where they do not say it, the
request goes without its upgrade, as it may by RFC 9110 section 7.8.
Called by `client_h2` and `client_h2_stream`; what an HTTP/1 client is answered is in `upgrade`.
"""
from tulle._fast.base.types cimport uint32_t, unlikely
from tulle._fast.flow.client_h2 cimport ClientH2
from tulle._fast.flow.types cimport X_UPGRADE, Exchange
from tulle._fast.http.h2_send cimport H2RequestLine
from tulle._fast.http.h2_types cimport H2C_PEER_CONNECT, H2C_SETTINGS_SEEN, H2Stream
from tulle._fast.http.message cimport Message

# Whether the upgrade that a request asks for can be asked for in HTTP/2
cdef bint client_h2_tunnel_may(const Message *request) noexcept nogil
# What its head is in HTTP/2
cdef void client_h2_tunnel_line(H2Stream *s, Message *request, H2RequestLine *line) noexcept nogil

cdef inline bint client_h2_tunnel_waits(const ClientH2 *h2, const Exchange *x) noexcept nogil:
    """Whether it has to wait for the host's SETTINGS."""
    return unlikely(x.flags & X_UPGRADE) and not h2.c.flags & H2C_SETTINGS_SEEN

cdef inline void client_h2_tunnel_settle(const ClientH2 *h2, Exchange *x) noexcept nogil:
    """It has its place now: does the host take upgrades?"""
    if unlikely(x.flags & X_UPGRADE) and not h2.c.flags & H2C_PEER_CONNECT:
        x.flags &= ~<uint32_t>X_UPGRADE
