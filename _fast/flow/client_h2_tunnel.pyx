"""See `client_h2_tunnel.pxd`."""
from tulle._fast.flow.head_edits cimport field_drop
from tulle._fast.flow.upgrade cimport upgrade_key
from tulle._fast.http.message cimport FIELD_UPGRADE, METHOD_CONNECT, Field, message_at, message_field
from tulle._fast.http.websocket cimport websocket_named


cdef bint client_h2_tunnel_may(const Message *request) noexcept nogil:
    cdef const Field *upgrade = message_field(request, FIELD_UPGRADE)
    if request.protocol_length != 0:
        return True
    return (
        upgrade != NULL and websocket_named(message_at(request, upgrade.value), upgrade.value_length)
        and upgrade_key(request) != NULL
    )


cdef void client_h2_tunnel_line(H2Stream *s, Message *request, H2RequestLine *line) noexcept nogil:
    cdef const Field *upgrade = message_field(request, FIELD_UPGRADE)
    s.method = METHOD_CONNECT
    line.method.text = b"CONNECT"
    line.method.length = 7
    line.protocol.text = message_at(request, upgrade.value)
    line.protocol.length = upgrade.value_length
    if request.protocol_length == 0:
        line.protocol.text = b"websocket"      # in whichever case it came
        field_drop(request, b"sec-websocket-key", 17)
