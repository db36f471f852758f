"""See `hpack_table.pxd` for the contract."""
from libc.string cimport memcpy
from tulle._fast.base.types cimport BUG_ON, likely, uint8_t, uint16_t, uint32_t


cdef void hpack_table_init(HpackTable *table) noexcept nogil:
    table.capacity = HPACK_TABLE_MAX
    table.size = 0
    table.count = 0
    table.newest = 0
    table.head = 0


cdef inline void table_evict(HpackTable *table) noexcept nogil:
    cdef const HpackEntry *oldest = hpack_table_entry(table, table.newest - table.count + 1)
    table.size -= oldest.name_length + oldest.value_length + <uint32_t>HPACK_OVERHEAD
    table.count -= 1


cdef void hpack_table_resize(HpackTable *table, uint32_t capacity) noexcept nogil:
    BUG_ON(capacity > HPACK_TABLE_MAX)
    table.capacity = capacity
    while table.size > capacity:
        table_evict(table)


cdef void hpack_table_clear(HpackTable *table) noexcept nogil:
    table.size = 0
    table.count = 0


cdef inline void table_put(HpackTable *table, const char *bytes, uint32_t length) noexcept nogil:
    cdef uint32_t first = HPACK_TABLE_MAX - table.head
    if likely(length <= first):
        memcpy(&table.ring[table.head], bytes, length)
    else:
        memcpy(&table.ring[table.head], bytes, first)
        memcpy(&table.ring[0], bytes + first, length - first)
    table.head = (table.head + length) & (HPACK_TABLE_MAX - 1)


cdef bint hpack_table_insert(
    HpackTable *table, const char *name, uint32_t name_length, const char *value, uint32_t value_length,
    uint8_t id, uint8_t flags
) noexcept nogil:
    cdef HpackEntry *entry
    cdef uint32_t size
    if name_length > HPACK_TABLE_MAX or value_length > HPACK_TABLE_MAX:
        size = HPACK_TABLE_MAX + 1
    else:
        size = name_length + value_length + HPACK_OVERHEAD
    if size > table.capacity:
        hpack_table_clear(table)
        return False
    while table.size + size > table.capacity:
        table_evict(table)
    table.newest += 1
    table.count += 1
    table.size += size
    entry = &table.entries[table.newest & (HPACK_ENTRIES - 1)]
    entry.offset = <uint16_t>table.head
    entry.name_length = <uint16_t>name_length
    entry.value_length = <uint16_t>value_length
    entry.id = id
    entry.flags = flags
    table_put(table, name, name_length)
    table_put(table, b": ", 2)
    table_put(table, value, value_length)
    table_put(table, b"\r\n", 2)
    return True
