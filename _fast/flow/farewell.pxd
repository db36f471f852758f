"""The end of a WebSocket whose proxy leaves: a Close with 1001, "going away" (RFC 6455 section 7.4.1), in good time.

Only a drain says it, never a reload. The frame goes to the client, between two frames of the server (see
`http/websocket_frames`); what the server says after that is dropped, for nothing may follow a Close. The client answers
with a Close of its own, which is passed on to the server like all that it says, and the two end the connection between
them. Who does not is cut off when the time of the drain is up.

Called by `attempt`, `client_h1`, `exchange` and `worker`.
"""
from tulle._fast.flow.types cimport Exchange, Worker
from tulle._fast.http.message cimport Message

# The answer has made a tunnel: follow its frames if that is a WebSocket
cdef void farewell_follow(Exchange *x, const Message *message) noexcept nogil
# How many of these bytes go to the client, now that a farewell may have been said
cdef size_t farewell_pass(Exchange *x, const char *data, size_t length) noexcept nogil
# To be said at the next border between frames
cdef void farewell_want(Exchange *x) noexcept nogil
# Say it, if it is wanted, there is a border, and the client takes something. False: the exchange is over
cdef bint farewell_say(Exchange *x) noexcept nogil
# To all that this worker has
cdef void farewell_all(Worker *worker) noexcept nogil
