"""See `idmap.pxd`."""
from libc.stdlib cimport calloc, free

cdef enum:
    FIRST_SIZE = 64


cdef int idmap_init(IdMap *map) noexcept nogil:
    map.entries = <IdEntry *>calloc(FIRST_SIZE, sizeof(IdEntry))
    map.mask = FIRST_SIZE - 1
    map.used = 0
    return 0 if map.entries != NULL else -1


cdef void idmap_destroy(IdMap *map) noexcept nogil:
    free(map.entries)
    map.entries = NULL


cdef IdEntry *idmap_probe(IdEntry *entries, uint32_t mask, uint32_t key) noexcept nogil:
    cdef uint32_t index = (key * <uint32_t>0x9E3779B1) >> 7 & mask
    while entries[index].key != 0 and entries[index].key != key + 1:
        index = (index + 1) & mask
    return &entries[index]


cdef bint idmap_grow(IdMap *map) noexcept nogil:
    cdef uint32_t size = (map.mask + 1) * 2
    cdef uint32_t index
    cdef IdEntry *entries = <IdEntry *>calloc(size, sizeof(IdEntry))
    if entries == NULL:
        return False
    for index in range(map.mask + 1):
        if map.entries[index].key != 0:
            idmap_probe(entries, size - 1, map.entries[index].key - 1)[0] = map.entries[index]
    free(map.entries)
    map.entries = entries
    map.mask = size - 1
    return True


cdef void **idmap_place(IdMap *map, uint32_t key) noexcept nogil:
    cdef IdEntry *entry = idmap_probe(map.entries, map.mask, key)
    if entry.key == 0:
        if map.used * 2 > map.mask:
            if not idmap_grow(map):
                return NULL
            entry = idmap_probe(map.entries, map.mask, key)
        entry.key = key + 1
        map.used += 1
    return &entry.value
