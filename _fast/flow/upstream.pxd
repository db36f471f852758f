"""Clusters and hosts as a worker keeps them, across tables: found by slot, told from a predecessor by generation.

A cluster takes the settings of the newest table that a request used it under; its hosts follow the endpoint list, and
keep their pools and counts when the list changes around them. A host that has left the list is freed when its last
connection and attempt have gone.
"""
from tulle._fast.base.types cimport int32_t, uint32_t
from tulle._fast.flow.types cimport Cluster, Host, Table, Worker

# NULL without memory, or when the slot lies outside shared memory
cdef Cluster *cluster_use(Worker *worker, Table *table, uint32_t index) noexcept nogil
# Frees a host that nothing refers to
cdef void host_sweep(Host *host) noexcept nogil
cdef void host_ref(Host *host) noexcept nogil
cdef void host_unref(Host *host) noexcept nogil
# An attempt begins on a host, and ends: it refers to the host and is counted by it, in shared memory and for balancing
cdef void host_begin(Host *host) noexcept nogil
cdef void host_end(Host *host) noexcept nogil
# Lets go of clusters that the current table has no more, as far as nothing uses them; called now and then
cdef void clusters_sweep(Worker *worker) noexcept nogil
