"""gRPC calls: an exchange that is one is known as such from its head on (X_GRPC), and ends with a grpc-status.

The status is what the answer says, in its head when that is all of it (trailers-only) or in its trailers; else what
stands for its HTTP status, or for how it ended. It is settled at the latest when the exchange is counted. Whatever the
proxy itself has to say to such a client it says as trailers-only, and in trailers where an answer has begun. The
client's deadline bounds the exchange beside the route's own times. What becomes of a host for it is in `outcome`.

A client that does not speak gRPC takes HTTP's 200 for success; where a route leads to such services, a failure that is
all of an answer is told to it by the status of HTTP that stands for it.

Called by exchange, attempt, reply, head_edits, hedge and finish; an exchange without X_GRPC costs them a branch.
"""
from tulle._fast.base.types cimport uint16_t, uint32_t, uint64_t, unlikely
from tulle._fast.flow.types cimport Exchange
from tulle._fast.http.grpc cimport grpc_is_request
from tulle._fast.http.message cimport METHOD_POST, Message

cdef enum:
    GRPC_REPLY_ROOM = 512              # bytes for the values of an answer of ours

cdef inline void grpc_recognise(Exchange *x) noexcept nogil:
    if unlikely(x.method == METHOD_POST) and grpc_is_request(x.request):
        grpc_begin(x)

cdef void grpc_begin(Exchange *x) noexcept nogil
# The route's match of that index took it: by what name it is counted
cdef void grpc_take_name(Exchange *x, uint32_t match) noexcept nogil
# The exchange ends by the client's deadline, if not earlier
cdef void grpc_bound(Exchange *x) noexcept nogil
# The client's deadline, less the time already spent, among the fields of a head that goes upstream
cdef void grpc_timeout_field(Exchange *x, uint32_t *count) noexcept nogil

# The status in the head of an answer, or in x.trailers where all of it is here; GRPC_NONE: not known yet
cdef int grpc_said(const Exchange *x, const Message *answer) noexcept nogil
# Whether an answer without any message is to be tried again; or is one of a server that has failed
cdef bint grpc_wants_retry(const Exchange *x, const Message *answer) noexcept nogil
cdef bint grpc_is_failure(const Exchange *x, const Message *answer) noexcept nogil
# The answer goes to a client that does not speak gRPC: a failure in its head makes it X_GRPC_ERROR
cdef void grpc_head_for_others(Exchange *x, const Message *answer) noexcept nogil
# The head of the answer goes to the client; all of the answer is here, with x.trailers
cdef void grpc_head(Exchange *x, const Message *answer) noexcept nogil
cdef void grpc_ended(Exchange *x) noexcept nogil

# Fields of an answer of ours in place of one with that status; answers the status it gets. `text` has
# GRPC_REPLY_ROOM bytes, and is needed until the head is written
cdef uint16_t grpc_reply_fields(
    Exchange *x, uint16_t status, const char *detail, uint32_t length, char *text, uint32_t *count
) noexcept nogil
# Trailers in place of the rest of an answer that will not come. True: they were sent, and the exchange is over or waits
# for the client to take them; False: it has to be cut off
cdef bint grpc_end(Exchange *x, int flag) noexcept nogil

cdef void grpc_count(Exchange *x) noexcept nogil
