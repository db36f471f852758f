"""Fields to HPACK blocks (RFC 7541 section 6).

What is worth a place in the table is learnt: a field gets one when it is seen for the second time within a while, so
that ids, dates and paths that never come again push nothing out. Both tables are found through hashes under a secret
seed, a look takes constant time on average. Credentials are never indexed (section 7.1.3): Authorization, short
cookies, and what the sender marked so. Set-Cookie stays out of the table.
A block changes the table, so every block that was made has to be sent, in the order of making.
"""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t, uint64_t
from tulle._fast.http.hpack_table cimport HpackTable

cdef enum:
    HPACK_FIELD_FRAME = 12             # octets that a field takes beyond name and value, at most
    HPACK_BEGIN_MOST = 8               # what hpack_encode_begin writes, at most
    HPACK_SHORT_COOKIE = 20            # shorter ones can be guessed

cdef struct HpackLookup:               # finds entries of the static table; one for all encoders of a worker
    uint64_t seed                      # secret
    uint8_t pairs[256]                 # index by the hash of name and value; open addressing, 0: free
    uint8_t names[256]                 # by that of the name: the first entry with it

cdef struct HpackMark:                 # of an entry: its place in two chains, the newest first
    uint32_t pair_hash
    uint32_t pair_next                 # number of an older entry
    uint32_t name_hash
    uint32_t name_next

cdef struct HpackEncoder:
    const HpackLookup *lookup
    uint32_t lowest                    # capacity that has to be told before the next field, then the present one
    bint changed
    uint16_t seen[512]                 # of fields that were sent lately without a place, by hash: the rest of the hash
    uint32_t pair_heads[128]           # number of the newest entry by hash
    uint32_t name_heads[64]
    HpackMark marks[128]
    HpackTable table

cdef void hpack_lookup_init(HpackLookup *lookup, uint64_t seed) noexcept nogil
cdef void hpack_encoder_init(HpackEncoder *encoder, const HpackLookup *lookup) noexcept nogil
# The peer's SETTINGS_HEADER_TABLE_SIZE; of more than HPACK_TABLE_MAX no use is made
cdef void hpack_encoder_allow(HpackEncoder *encoder, uint32_t size) noexcept nogil
# Before the fields of each block
cdef uint8_t *hpack_encode_begin(HpackEncoder *encoder, uint8_t *out) noexcept nogil
# A field, whose name may be in any case of letters; the end of what was written. `id` is its FieldId, `never` keeps it
# out of all tables
cdef uint8_t *hpack_encode_field(
    HpackEncoder *encoder, uint8_t *out, int id, const char *name, uint32_t name_length,
    const char *value, uint32_t value_length, bint never
) noexcept nogil
# A pseudo-field of the static table whose value is another: `index` is that of the name
cdef uint8_t *hpack_encode_pseudo(
    HpackEncoder *encoder, uint8_t *out, uint32_t index, const char *value, uint32_t value_length
) noexcept nogil
cdef uint8_t *hpack_encode_status(HpackEncoder *encoder, uint8_t *out, uint16_t status) noexcept nogil
