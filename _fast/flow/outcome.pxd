"""What becomes of each try, told to the policies that learn from it: a host's latency, its failures, the retries.

Called once for every try that reached an end of its own: by a response head, or by a failure. A try that was cancelled,
or that another side ended, has no outcome. Of a gRPC call it is the grpc-status, as the status of HTTP that stands for
it: for what stays open it is known only with the trailers, until which the attempt is `judged_late`.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Attempt
from tulle._fast.http.message cimport Message

# The head of the final response is here
cdef void outcome_head(Attempt *attempt, const Message *message) noexcept nogil
# There will be none: the ResponseFlag tells why
cdef void outcome_failure(Attempt *attempt, int flag) noexcept nogil
# Of an attempt that is judged late: its trailers are here, or the connection has ended before them
cdef void outcome_trailers(Attempt *attempt, uint32_t status) noexcept nogil
cdef void outcome_broken(Attempt *attempt) noexcept nogil
