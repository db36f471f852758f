"""Outlier detection at work: what comes of tries is counted, hosts ejected and probed. policy/outlier has the rules.

Failures in a row are counted where they happen, in memory that all workers share. Rates over an interval are judged
by one worker: the first with an outcome after the interval's end, who wins by moving that end on. So a cluster without
traffic costs nothing, no process has to wake for it, and it goes by the very policy that the requests went by; the
master would have to know every policy, and read all lanes from Python.

How many hosts are out is counted anew whenever one is to be ejected: a count that is kept would be wrong for ever once
a worker is killed in the middle, or an endpoint leaves. The host is marked first and counted then: of two workers that
eject two hosts at once at least one sees the other, so there is never one too many out; both may step back, and the
next failures in a row try again.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Attempt, Host
from tulle._fast.policy.host_groups cimport HostSet

# What came of a try (OutlierOutcome), under a policy that is enabled
cdef void ejection_learn(Attempt *attempt, int outcome) noexcept nogil
# One of these hosts whose time is up and which this request is to probe, before all other requests; NULL: none
cdef Host *ejection_probe(const HostSet *hosts, Attempt *attempt) noexcept nogil
# The attempt leaves the host that it was to probe, without an outcome
cdef void ejection_probe_dropped(Host *host) noexcept nogil
# Whether a host is out now; when it may be probed, `*look_at` is moved up to that time
cdef bint ejection_is_out(Host *host, uint64_t *look_at) noexcept nogil
