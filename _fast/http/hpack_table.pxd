"""The tables of HPACK (RFC 7541 section 2.3): the static one, and a dynamic one in a block of fixed size.

An entry is kept as the line of HTTP/1 that it stands for, `name: value` and CRLF, so that whoever needs it copies one
piece of bytes. The lines of the dynamic table lie in a ring; an entry's bytes may go on at the ring's begin. As a line
is shorter than the 32 bytes that section 4.1 adds to name and value, what the sizes allow always has room.
Entries are numbered in the order of their insertion, from 1 on. Called by decoder and encoder.
"""
from libc.string cimport memcpy
from tulle._fast.base.types cimport likely, uint8_t, uint16_t, uint32_t

cdef enum:
    HPACK_TABLE_MAX = 4096             # bytes as section 4.1 counts them: the default of SETTINGS_HEADER_TABLE_SIZE
    HPACK_ENTRIES = 128                # no more have room
    HPACK_OVERHEAD = 32
    HPACK_STATIC = 61
    HPACK_LINE = 4                     # colon, space, CRLF

cdef enum HpackId:                     # in `id` of an entry, where FieldId ends: pseudo-fields (RFC 9113 section 8.3)
    HPACK_AUTHORITY = 64
    HPACK_METHOD
    HPACK_PATH
    HPACK_SCHEME
    HPACK_STATUS
    HPACK_PROTOCOL                     # RFC 8441 section 4

cdef enum HpackEntryFlags:
    HPACK_BAD_NAME = 1                 # the entry is part of the table, and whatever refers to it is malformed
    HPACK_BAD_VALUE = 2

cdef struct HpackEntry:
    uint16_t offset                    # of its line in the ring
    uint16_t name_length
    uint16_t value_length
    uint8_t id                         # FieldId or HpackId
    uint8_t flags                      # HpackEntryFlags

cdef struct HpackTable:
    uint32_t capacity                  # may hold so many bytes, at most HPACK_TABLE_MAX
    uint32_t size
    uint32_t count
    uint32_t newest                    # number of the last entry
    uint32_t head                      # where the next line goes
    HpackEntry entries[128]            # by number modulo HPACK_ENTRIES
    char ring[4096]

cdef void hpack_table_init(HpackTable *table) noexcept nogil
# Another capacity, at most HPACK_TABLE_MAX; evicts what has no room any more
cdef void hpack_table_resize(HpackTable *table, uint32_t capacity) noexcept nogil
cdef void hpack_table_clear(HpackTable *table) noexcept nogil
# False: the entry is larger than the table, which is empty now (section 4.4). `name` and `value` may be of the table
# only by way of a copy
cdef bint hpack_table_insert(
    HpackTable *table, const char *name, uint32_t name_length, const char *value, uint32_t value_length,
    uint8_t id, uint8_t flags
) noexcept nogil

cdef extern from *:
    """
    #ifndef TULLE_HTTP_HPACK_TABLE_H
    #define TULLE_HTTP_HPACK_TABLE_H
    #include <stdint.h>
    enum { S_AUTHORITY = 64, S_METHOD, S_PATH, S_SCHEME, S_STATUS };
    /* RFC 7541 appendix A; the number at the end is the FieldId or HpackId */
    #define HPACK_STATIC_TABLE(NAME) \\
        NAME(1, ":authority", "", S_AUTHORITY) \\
        NAME(2, ":method", "GET", S_METHOD) \\
        NAME(3, ":method", "POST", S_METHOD) \\
        NAME(4, ":path", "/", S_PATH) \\
        NAME(5, ":path", "/index.html", S_PATH) \\
        NAME(6, ":scheme", "http", S_SCHEME) \\
        NAME(7, ":scheme", "https", S_SCHEME) \\
        NAME(8, ":status", "200", S_STATUS) \\
        NAME(9, ":status", "204", S_STATUS) \\
        NAME(10, ":status", "206", S_STATUS) \\
        NAME(11, ":status", "304", S_STATUS) \\
        NAME(12, ":status", "400", S_STATUS) \\
        NAME(13, ":status", "404", S_STATUS) \\
        NAME(14, ":status", "500", S_STATUS) \\
        NAME(15, "accept-charset", "", 0) \\
        NAME(16, "accept-encoding", "gzip, deflate", 0) \\
        NAME(17, "accept-language", "", 0) \\
        NAME(18, "accept-ranges", "", 0) \\
        NAME(19, "accept", "", 0) \\
        NAME(20, "access-control-allow-origin", "", 0) \\
        NAME(21, "age", "", 0) \\
        NAME(22, "allow", "", 0) \\
        NAME(23, "authorization", "", 22) \\
        NAME(24, "cache-control", "", 0) \\
        NAME(25, "content-disposition", "", 0) \\
        NAME(26, "content-encoding", "", 0) \\
        NAME(27, "content-language", "", 0) \\
        NAME(28, "content-length", "", 3) \\
        NAME(29, "content-location", "", 0) \\
        NAME(30, "content-range", "", 0) \\
        NAME(31, "content-type", "", 0) \\
        NAME(32, "cookie", "", 20) \\
        NAME(33, "date", "", 0) \\
        NAME(34, "etag", "", 0) \\
        NAME(35, "expect", "", 5) \\
        NAME(36, "expires", "", 0) \\
        NAME(37, "from", "", 0) \\
        NAME(38, "host", "", 1) \\
        NAME(39, "if-match", "", 0) \\
        NAME(40, "if-modified-since", "", 0) \\
        NAME(41, "if-none-match", "", 0) \\
        NAME(42, "if-range", "", 0) \\
        NAME(43, "if-unmodified-since", "", 0) \\
        NAME(44, "last-modified", "", 0) \\
        NAME(45, "link", "", 0) \\
        NAME(46, "location", "", 0) \\
        NAME(47, "max-forwards", "", 0) \\
        NAME(48, "proxy-authenticate", "", 0) \\
        NAME(49, "proxy-authorization", "", 0) \\
        NAME(50, "range", "", 0) \\
        NAME(51, "referer", "", 0) \\
        NAME(52, "refresh", "", 0) \\
        NAME(53, "retry-after", "", 18) \\
        NAME(54, "server", "", 0) \\
        NAME(55, "set-cookie", "", 21) \\
        NAME(56, "strict-transport-security", "", 0) \\
        NAME(57, "transfer-encoding", "", 4) \\
        NAME(58, "user-agent", "", 17) \\
        NAME(59, "vary", "", 0) \\
        NAME(60, "via", "", 16) \\
        NAME(61, "www-authenticate", "", 0)
    typedef struct {
        const char *line; uint8_t name_length; uint8_t value_length; uint8_t id;
    } HpackStaticEntry;
    #define HPACK_STATIC_ENTRY(index, name, value, id) \\
        [index] = {name ": " value "\\r\\n", sizeof name - 1, sizeof value - 1, id},
    static const HpackStaticEntry hpack_static[62] __attribute__((unused)) = { HPACK_STATIC_TABLE(HPACK_STATIC_ENTRY) };
    #endif
    """
    ctypedef struct HpackStaticEntry:
        const char *line
        uint8_t name_length
        uint8_t value_length
        uint8_t id
    const HpackStaticEntry hpack_static[62]

cdef inline const HpackEntry *hpack_table_entry(const HpackTable *table, uint32_t number) noexcept nogil:
    return &table.entries[number & (HPACK_ENTRIES - 1)]

cdef inline void hpack_ring_copy(const HpackTable *table, char *out, uint32_t offset, uint32_t length) noexcept nogil:
    """`length` bytes of the ring from `offset` on."""
    cdef uint32_t first
    offset &= HPACK_TABLE_MAX - 1
    if likely(offset + length <= HPACK_TABLE_MAX):
        memcpy(out, &table.ring[offset], length)
        return
    first = HPACK_TABLE_MAX - offset
    memcpy(out, &table.ring[offset], first)
    memcpy(out + first, &table.ring[0], length - first)
