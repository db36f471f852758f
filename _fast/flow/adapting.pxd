"""Adaptive concurrency on the way of a request: the limit that it has to find a place under, and what its answer tells.

The places are those of LIMIT_REQUESTS, of which `max_requests` is another limit: the lower one holds. The rules are
policy/adaptive's. Called by exchange and outcome, for clusters whose policy is on.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Attempt, Cluster, Exchange

# How many requests of the cluster may be under way
cdef uint32_t adapting_limit(Cluster *cluster) noexcept nogil
# There was no place: count it, and answer
cdef void adapting_refuse(Exchange *x, uint32_t limit) noexcept nogil
# A try has its answer, or has waited for it in vain
cdef void adapting_learn(Attempt *attempt) noexcept nogil
