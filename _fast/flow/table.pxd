"""Tables in a worker: mapped segments, the current one, and which old ones are still in use."""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport Table, Worker

# Takes over both descriptors; `endpoints_fd` alone when `routes_fd` is -1. 0, or -1 when they are refused
cdef int table_install(
    Worker *worker, int routes_fd, int endpoints_fd, uint64_t version, uint64_t serial
) noexcept nogil
cdef void table_unref(Worker *worker, Table *table) noexcept nogil

cdef inline Table *table_ref(Table *table) noexcept nogil:
    table.refs += 1
    return table
