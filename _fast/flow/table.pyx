"""See `table.pxd`. A swap of the table is one pointer between two events; an old one goes with its last exchange."""
from libc.stdlib cimport calloc, free

from tulle._fast.base.list cimport list_append, list_remove
from tulle._fast.base.mapping cimport MAP_FAILED, map_to_read, munmap
from tulle._fast.flow.types cimport Mapping
from tulle._fast.net.system cimport close
from tulle._fast.net.tls_context cimport tls_sets_open, tls_sets_unref
from tulle._fast.policy.image cimport ListenerEntry, endpoints_open, image_at, image_cluster, image_open

cdef extern from "<unistd.h>" nogil:
    long lseek(int fd, long offset, int whence) noexcept
    int SEEK_END


cdef Mapping *mapping_open(int fd) noexcept nogil:
    """Maps the whole file and closes the descriptor."""
    cdef Mapping *mapping = <Mapping *>calloc(1, sizeof(Mapping))
    cdef long size = lseek(fd, 0, SEEK_END)
    if mapping == NULL or size <= 0:
        close(fd)
        free(mapping)
        return NULL
    mapping.block = map_to_read(fd, <size_t>size)
    mapping.size = <size_t>size
    mapping.refs = 1
    close(fd)
    if mapping.block == MAP_FAILED:
        free(mapping)
        return NULL
    return mapping


cdef void mapping_unref(Mapping *mapping) noexcept nogil:
    if mapping == NULL:
        return
    mapping.refs -= 1
    if mapping.refs == 0:
        munmap(mapping.block, mapping.size)
        free(mapping)


cdef void table_free(Table *table) noexcept nogil:
    list_remove(&table.node)
    mapping_unref(table.routes)
    mapping_unref(table.segment)
    tls_sets_unref(table.tls)
    free(table)


cdef bint table_has_tls(const Table *table) noexcept nogil:
    """Whether the sets that the image refers to are there."""
    cdef uint32_t count = table.tls.count if table.tls != NULL else 0
    cdef const ListenerEntry *listener = <const ListenerEntry *>image_at(table.image, table.image.listeners.offset)
    cdef uint32_t index
    for index in range(table.image.listeners.count):
        if listener[index].tls > count:
            return False
    for index in range(table.image.clusters.count):
        if image_cluster(table.image, index).tls > count:
            return False
    return True


cdef int table_install(
    Worker *worker, int routes_fd, int endpoints_fd, int tls_fd, uint64_t version, uint64_t serial
) noexcept nogil:
    cdef Table *table = <Table *>calloc(1, sizeof(Table))
    cdef Table *previous = worker.table
    cdef bint good = True
    if table == NULL:
        return -1
    table.node.next = &table.node
    table.node.prev = &table.node
    if routes_fd >= 0:
        table.routes = mapping_open(routes_fd)
        if tls_fd >= 0:
            table.tls = tls_sets_open(&worker.tls, tls_fd)
            good = table.tls != NULL
    elif previous != NULL and previous.version == version:
        table.routes = previous.routes
        table.routes.refs += 1
        table.tls = previous.tls
        if table.tls != NULL:
            table.tls.refs += 1
    table.segment = mapping_open(endpoints_fd)
    if table.routes != NULL and table.segment != NULL:
        table.image = image_open(table.routes.block, table.routes.size)
        table.endpoints = endpoints_open(table.segment.block, table.segment.size)
    if (
        not good
        or table.image == NULL
        or table.endpoints == NULL
        or table.endpoints.clusters.count != table.image.clusters.count
        or not table_has_tls(table)
    ):
        table_free(table)
        return -1
    table.version = version
    table.serial = serial
    table.refs = 1
    list_append(&worker.tables, &table.node)
    worker.table = table
    if previous != NULL:
        table_unref(worker, previous)
    return 0


cdef void table_unref(Worker *worker, Table *table) noexcept nogil:
    table.refs -= 1
    if table.refs == 0:
        table_free(table)
