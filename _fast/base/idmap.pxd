"""Map from a 32-bit slot number to a pointer: open addressing, no deletion of keys (a value may become NULL)."""
from tulle._fast.base.types cimport uint32_t

cdef struct IdEntry:
    void *value
    uint32_t key                       # slot number + 1; 0: free

cdef struct IdMap:
    IdEntry *entries
    uint32_t mask                      # entries - 1
    uint32_t used

cdef int idmap_init(IdMap *map) noexcept nogil
cdef void idmap_destroy(IdMap *map) noexcept nogil
# Where the value of a key is kept, made NULL when the key is new; NULL without memory
cdef void **idmap_place(IdMap *map, uint32_t key) noexcept nogil

cdef inline void *idmap_find(const IdMap *map, uint32_t key) noexcept nogil:
    cdef uint32_t index = (key * <uint32_t>0x9E3779B1) >> 7 & map.mask
    while map.entries[index].key != 0:
        if map.entries[index].key == key + 1:
            return map.entries[index].value
        index = (index + 1) & map.mask
    return NULL
