"""See `balancing_writer.pxd`."""
from libc.string cimport memset

from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.ewma cimport EwmaPolicy
from tulle._fast.policy.hash_policy cimport HASH_COOKIE, HASH_HEADER, HASH_QUERY, HASH_SOURCE_ADDRESS, HashItem
from tulle._fast.policy.image cimport *
from tulle._fast.policy.lb_ring_hash cimport RingPolicy
from tulle._fast.policy.slow_start cimport SlowStartPolicy

_BALANCERS = {
    "round_robin": BALANCER_ROUND_ROBIN, "least_request": BALANCER_LEAST_REQUEST, "random": BALANCER_RANDOM,
    "peak_ewma": BALANCER_PEAK_EWMA, "ring_hash": BALANCER_RING_HASH, "maglev": BALANCER_MAGLEV,
}
_KINDS = {
    "header": HASH_HEADER, "cookie": HASH_COOKIE, "source_address": HASH_SOURCE_ADDRESS, "query": HASH_QUERY,
}


cdef Span write_items(ImageBuffer out, rows) except *:
    cdef Span span
    cdef HashItem item
    cdef Py_ssize_t index
    if not rows:
        return Span(0, 0)
    span.count = <uint32_t>len(rows)
    span.offset = out.reserve(sizeof(HashItem), span.count)
    for index, row in enumerate(rows):
        memset(&item, 0, sizeof(HashItem))
        item.kind = _KINDS[row.kind]
        item.terminal = row.terminal
        item.made = row.made
        item.name = out.text(row.name)
        item.attributes = out.text(row.attributes)
        (<HashItem *>(out.data + span.offset))[index] = item
    return span


cdef int write_balancing(ImageBuffer out, ClusterEntry *entry, row) except -1:
    entry.balancer = _BALANCERS[row.balancer]
    entry.choices = row.choices
    entry.max_step_back = row.max_step_back
    if row.peak_ewma is not None:
        entry.ewma = EwmaPolicy(row.peak_ewma.default_rtt, row.peak_ewma.decay, row.peak_ewma.failure_penalty)
    entry.hash_on = write_items(out, row.hash_on)
    entry.affinity = write_items(out, (row.affinity,) if row.affinity is not None else ())
    entry.bounded_load = row.bounded_load
    if row.ring is not None:
        entry.ring = RingPolicy(row.ring.smallest, row.ring.largest)
    if row.slow_start is not None:
        entry.slow_start = SlowStartPolicy(row.slow_start.window, row.slow_start.exponent, row.slow_start.least)
    return 0
