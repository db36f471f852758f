"""See `farewell.pxd`."""
from tulle._fast.base.list cimport Node
from tulle._fast.base.shared cimport FLAG_DC
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.types cimport X_SERVER_BLOCKED, X_TUNNEL_DOWN_DONE, X_UPGRADE, Server
from tulle._fast.http.message cimport FIELD_UPGRADE, FRAMING_TUNNEL, Field, message_at, message_field
from tulle._fast.http.websocket cimport websocket_named
from tulle._fast.http.websocket_frames cimport (
    WEBSOCKET_CLOSE, WebSocketTrack, websocket_at_border, websocket_close, websocket_follow,
)
from tulle._fast.net.conn cimport CONN_BLOCKED

cdef enum:
    GOING_AWAY = 1001


cdef bint asks_for_websocket(const Message *request) noexcept nogil:
    cdef const Field *field
    if request.protocol_length != 0:
        return websocket_named(message_at(request, request.protocol), request.protocol_length)
    field = message_field(request, FIELD_UPGRADE)
    return field != NULL and websocket_named(message_at(request, field.value), field.value_length)


cdef void farewell_follow(Exchange *x, const Message *message) noexcept nogil:
    if message.framing != FRAMING_TUNNEL or not x.flags & X_UPGRADE or not asks_for_websocket(x.request):
        return
    x.websocket.on = 1
    x.websocket.wanted = x.worker.draining and x.worker.farewell_at == 0


cdef size_t farewell_pass(Exchange *x, const char *data, size_t length) noexcept nogil:
    cdef WebSocketTrack *track = &x.websocket
    if track.told or (track.wanted and websocket_at_border(track)):
        return 0
    return websocket_follow(track, data, <uint32_t>length)


cdef void farewell_want(Exchange *x) noexcept nogil:
    if x.websocket.on and not x.websocket.told and not x.websocket.closing:
        x.websocket.wanted = 1
        farewell_say(x)


cdef bint farewell_say(Exchange *x) noexcept nogil:
    cdef WebSocketTrack *track = &x.websocket
    cdef char frame[WEBSOCKET_CLOSE]
    cdef int result
    if not track.wanted or not websocket_at_border(track) or x.flags & (X_SERVER_BLOCKED | X_TUNNEL_DOWN_DONE):
        return True
    if x.down != NULL and x.down.held > 0:
        return True                    # the end of the frame is still in the pipe; who empties it comes here again
    track.wanted = 0
    if track.closing:
        return True                    # the server has said it itself
    track.told = 1
    x.worker.lane.header.websocket_farewells += 1
    websocket_close(frame, GOING_AWAY)
    result = x.server_ops.send(x, 0, frame, WEBSOCKET_CLOSE)
    if result == CONN_BLOCKED:
        x.flags |= X_SERVER_BLOCKED
    elif result < 0:
        x.response_flags |= <uint32_t>1 << FLAG_DC
        exchange_finish(x, False, True)
        return False
    x.bytes_sent += WEBSOCKET_CLOSE
    return True


cdef void farewell_all(Worker *worker) noexcept nogil:
    cdef Server *null = NULL
    cdef Server *server
    cdef Node *node = worker.servers.next
    worker.farewell_at = 0
    while node != &worker.servers:
        server = <Server *>(<char *>node - <size_t>&null.node)
        node = node.next
        if server.h2 != NULL:
            worker.hooks.server_h2_farewell(server)
        elif server.exchange != NULL:
            farewell_want(server.exchange)
