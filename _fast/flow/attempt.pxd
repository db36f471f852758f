"""One try at a time: pick a host, get a connection, send the request, take the answer, and what to do when it fails.

The client side reports through `attempt_on_*`; the pool through `attempt_ready` and `attempt_failed`.
"""
from tulle._fast.base.timer cimport Timer
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Attempt, Exchange
from tulle._fast.http.message cimport Message

cdef enum HeadVerdict:
    HEAD_FORWARD = 0                   # pass it on, with the body, by attempt_on_data
    HEAD_RETRY = 1                     # drop the answer, end the attempt, then call attempt_retry

# The first or a further try of an exchange whose cluster is chosen. May end the exchange
cdef void attempt_start(Exchange *x) noexcept nogil
cdef void attempt_ready(Attempt *attempt) noexcept nogil
# The connection that it was to have is not for it: another one, of the same host
cdef void attempt_again(Attempt *attempt) noexcept nogil
# No usable answer: `flag` is a ResponseFlag, -1 the same as FLAG_UF. The connection is gone already
cdef void attempt_failed(Attempt *attempt, int flag) noexcept nogil
# Body bytes from the client, as far as they and the upstream connection go
cdef void attempt_pump(Attempt *attempt) noexcept nogil
cdef int attempt_on_head(Attempt *attempt, const Message *message) noexcept nogil
cdef void attempt_retry(Attempt *attempt) noexcept nogil
# A piece of the answer, by SendFlags. False: the exchange is gone, and the attempt with it. CONN_BLOCKED in `*blocked`
cdef bint attempt_on_data(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil
cdef void exchange_arm(Exchange *x) noexcept nogil
cdef void exchange_timeout(Timer *timer, uint64_t now) noexcept nogil
# No answer will come, or no more of it, for the reason of a ResponseFlag: say so, or cut the client off in the middle
cdef void exchange_give_up(Exchange *x, int flag) noexcept nogil
# The client has left, or cannot be written to
cdef void exchange_client_gone(Exchange *x) noexcept nogil
