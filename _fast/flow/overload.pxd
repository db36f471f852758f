"""Load shedding, as listener and exchange meet it.

A connection above the limit is accepted all the same, and its request answered with 503, so that its client learns
why; of such a worker holds SHED_MOST at a time and each for a second, and closes what comes on top. Above the limit of
memory every new request is answered so, and its connection closed.
"""
from tulle._fast.flow.types cimport Exchange, Worker

cdef enum AdmitResult:
    ADMITTED = 0
    SHED                               # to be answered with 503
    TURNED_AWAY                        # to be closed at once

# For a connection that has come
cdef int overload_accept(Worker *worker) noexcept nogil
# It has gone: `result` is what it was given
cdef void overload_closed(Worker *worker, int result) noexcept nogil
# True: the request was answered
cdef bint overload_refuses(Exchange *x) noexcept nogil
# Tell the others what this worker occupies; once a turn of the loop
cdef void overload_publish(Worker *worker) noexcept nogil
