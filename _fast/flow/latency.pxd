"""What peak EWMA balancing learns of a host: from each outcome here, and from what other workers have written.

A worker writes its average of a host to shared memory when what is there is a second old, and at once when the host has
become much slower: then all workers take it over with their next pick, so that not each has to find out by itself.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Attempt, Host

cdef void latency_answered(Attempt *attempt, uint32_t status) noexcept nogil
cdef void latency_failed(Attempt *attempt) noexcept nogil
# Nobody waits for its answer any more: the latency is at least this
cdef void latency_given_up(Attempt *attempt) noexcept nogil
# What others know, at a look
cdef void latency_take(Host *host) noexcept nogil
