"""Slow start in flow: who joined when, and weights that rise with time.

When a host joined is in shared memory: the first worker that sees it writes it, so that all workers, and one that is
begun meanwhile, go by the same time. The hosts that a cluster begins with have not joined; a worker that has not used
the cluster before takes all for such, but for those of which another has written otherwise.
"""
from tulle._fast.flow.types cimport Cluster, Host

# It is new in a list that was in use
cdef void warm_up_joined(Host *host) noexcept nogil
# It was not available at the last look, and is now
cdef void warm_up_returned(Host *host) noexcept nogil
# Weights as of now, and when to look again; also once after slow start was switched off
cdef void warm_up_look(Cluster *cluster) noexcept nogil
