"""Tables in a worker: mapped segments, the current one, and which old ones are still in use."""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Table, Worker
from tulle._fast.net.tls_context cimport TlsSet

# Takes over the descriptors; `endpoints_fd` alone when `routes_fd` is -1, `tls_fd` is -1 where nothing needs TLS. 0, or
# -1 when they are refused
cdef int table_install(
    Worker *worker, int routes_fd, int endpoints_fd, int tls_fd, uint64_t version, uint64_t serial
) noexcept nogil
cdef void table_unref(Worker *worker, Table *table) noexcept nogil

# The set of a listener or a cluster, whose `tls` this is, or NULL: plain
cdef inline TlsSet *table_tls(const Table *table, uint32_t tls) noexcept nogil:
    return table.tls.sets[tls - 1] if tls != 0 else NULL

cdef inline Table *table_ref(Table *table) noexcept nogil:
    table.refs += 1
    return table
