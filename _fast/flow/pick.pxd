"""Which host gets the next try of an exchange: those that may be used, then the algorithm of the cluster.

What all workers know of the hosts is in shared memory. Whoever changes it raises the `epoch` of the cluster's state,
and every worker looks at the hosts again with its next pick.
"""
from tulle._fast.flow.types cimport Attempt, Cluster, Host

# For a try that is to begin: a host other than those already tried where there is one; NULL when none is usable
cdef Host *cluster_pick(Cluster *cluster, Attempt *attempt) noexcept nogil
# Take over which hosts are usable now
cdef void cluster_look(Cluster *cluster) noexcept nogil
