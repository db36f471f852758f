"""Maglev: a request's hash is an index into a table of 65,537 places, which hosts have by their weights.

After Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4: each host has a
permutation of all places of its own, and hosts take turns to claim the next place of theirs that is free. When a host
leaves, others get its places, and few places move beyond that. The table depends on keys and weights alone, so that all
workers and all sidecars have the same; a host that is down keeps its places, and their requests go to whoever has the
next place.

A worker makes a table when the first request needs it: some milliseconds for 1,000 hosts, and 256 KiB. Were it in
the endpoints segment, every change of any cluster's endpoints would write all tables again, a cluster would have to
hold the segment that its list came from, and clusters that a worker never uses would pay too.
"""
from tulle._fast.base.types cimport int32_t, uint64_t
from tulle._fast.policy.balancer cimport BalancerState
from tulle._fast.policy.load_bound cimport LoadBound

cdef enum:
    MAGLEV_SIZE = 65537                # prime, so that every skip reaches every place

# -1: no host is usable, or there was no memory for the table
cdef int32_t lb_maglev_pick(BalancerState *state, uint64_t hash, const LoadBound *bound) noexcept nogil
