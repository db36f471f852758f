"""What becomes of each try, told to the policies that learn from it: a host's latency, its failures, the retries.

Called once for every try that reached an end of its own: by a response head, or by a failure. A try that was cancelled,
or that another side ended, has no outcome.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Attempt
from tulle._fast.http.message cimport Message

# The head of the final response is here
cdef void outcome_head(Attempt *attempt, const Message *message) noexcept nogil
# There will be none: the ResponseFlag tells why
cdef void outcome_failure(Attempt *attempt, int flag) noexcept nogil
