"""See `hpack_encode.pxd` for the contract."""
from libc.string cimport memcmp, memcpy, memset
from tulle._fast.base.types cimport likely, uint8_t, uint16_t, uint32_t, uint64_t, unlikely
from tulle._fast.http.hpack_huffman cimport huffman_encode, huffman_length
from tulle._fast.http.hpack_integer cimport hpack_write_integer
from tulle._fast.http.hpack_table cimport (
    HPACK_ENTRIES, HPACK_OVERHEAD, HPACK_STATIC, HPACK_TABLE_MAX, HpackEntry, HpackStaticEntry, HpackTable,
    hpack_static, hpack_table_entry, hpack_table_init, hpack_table_insert, hpack_table_resize,
)
from tulle._fast.http.message cimport FieldId

cdef extern from *:
    """
    static inline uint64_t tulle_hpack_fold(uint64_t first, uint64_t second) {
        unsigned __int128 product = (unsigned __int128)first * second;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t hpack_fold "tulle_hpack_fold"(uint64_t first, uint64_t second) noexcept nogil

cdef enum:
    INDEXED = 0x80                     # first octets of the representations, RFC 7541 section 6
    LITERAL_ADDED = 0x40
    SIZE_UPDATE = 0x20
    LITERAL_NEVER = 0x10
    LITERAL = 0x00
    HUFFMAN = 0x80
    SEEN_MASK = 511
    PAIR_MASK = 127
    NAME_MASK = 63
    STATIC_MASK = 255
    AUTHORITY_NAME = 1                 # has one entry, without a value
    STATUS_NAME = 8                    # index of `:status: 200`, the first of that name
    NAME_MOST = 64                     # longer names are not looked up
    WORTH_MOST = HPACK_TABLE_MAX // 4  # a larger field would push out too much

# -- hashing ----------------------------------------------------------------------------------------------------------

cdef inline uint64_t load8(const char *text) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, text, 8)
    return word


cdef inline uint64_t load4(const char *text) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, text, 4)
    return word


cdef inline uint64_t hash_on(uint64_t state, const char *text, uint32_t length) noexcept nogil:
    """16 bytes a step; the last words overlap those before rather than reach beyond the text."""
    cdef uint32_t left = length
    cdef uint64_t first, second
    state ^= length * <uint64_t>0x9E3779B97F4A7C15
    while left > 16:
        state = hpack_fold(load8(text) ^ <uint64_t>0xA0761D6478BD642F, load8(text + 8) ^ state)
        text += 16
        left -= 16
    if left >= 8:
        first = load8(text)
        second = load8(text + left - 8)
    elif left >= 4:
        first = load4(text)
        second = load4(text + left - 4)
    elif left > 0:
        first = <uint8_t>text[0]
        second = <uint64_t><uint8_t>text[left >> 1] << 8 | <uint8_t>text[left - 1]
    else:
        first = 0
        second = 0
    return hpack_fold(first ^ <uint64_t>0xE7037ED1A0B428DB, second ^ state)


cdef inline uint64_t lower8(uint64_t word) noexcept nogil:
    """Eight octets with the letters in lower case."""
    cdef uint64_t low = word & <uint64_t>0x7f7f7f7f7f7f7f7f
    cdef uint64_t upper = (low + <uint64_t>0x3f3f3f3f3f3f3f3f) & ~(low + <uint64_t>0x2525252525252525)
    return word | (upper & ~word & <uint64_t>0x8080808080808080) >> 2


cdef inline void lower_copy(char *out, const char *name, uint32_t length) noexcept nogil:
    """The name in lower case; `out` has room for 8 octets at least."""
    cdef uint64_t word = 0
    cdef uint32_t index = 0
    if likely(length >= 8):
        while index + 8 <= length:
            word = lower8(load8(name + index))
            memcpy(out + index, &word, 8)
            index += 8
        word = lower8(load8(name + length - 8))
        memcpy(out + length - 8, &word, 8)
        return
    memcpy(&word, name, length)
    word = lower8(word)
    memcpy(out, &word, 8)


# -- the static table -------------------------------------------------------------------------------------------------

cdef void lookup_put(uint8_t *slots, uint64_t hash, uint32_t index) noexcept nogil:
    cdef uint32_t slot = <uint32_t>hash & STATIC_MASK
    while slots[slot] != 0:
        slot = (slot + 1) & STATIC_MASK
    slots[slot] = <uint8_t>index


cdef void hpack_lookup_init(HpackLookup *lookup, uint64_t seed) noexcept nogil:
    cdef const HpackStaticEntry *entry
    cdef uint64_t hash
    cdef uint32_t index
    memset(lookup, 0, sizeof(HpackLookup))
    lookup.seed = seed
    for index in range(1, HPACK_STATIC + 1):
        entry = &hpack_static[index]
        hash = hash_on(seed, entry.line, entry.name_length)
        if static_name(lookup, hash, entry.line, entry.name_length) == 0:
            lookup_put(lookup.names, hash, index)
        if entry.value_length != 0:
            lookup_put(lookup.pairs, hash_on(hash, entry.line + entry.name_length + 2, entry.value_length), index)


cdef inline uint32_t static_name(
    const HpackLookup *lookup, uint64_t hash, const char *name, uint32_t length
) noexcept nogil:
    """The index of the first entry with that name, or 0."""
    cdef uint32_t slot = <uint32_t>hash & STATIC_MASK
    cdef const HpackStaticEntry *entry
    while lookup.names[slot] != 0:
        entry = &hpack_static[lookup.names[slot]]
        if entry.name_length == length and memcmp(entry.line, name, length) == 0:
            return lookup.names[slot]
        slot = (slot + 1) & STATIC_MASK
    return 0


cdef inline uint32_t static_pair(
    const HpackLookup *lookup, uint64_t hash, const char *name, uint32_t name_length, const char *value,
    uint32_t value_length
) noexcept nogil:
    cdef uint32_t slot = <uint32_t>hash & STATIC_MASK
    cdef const HpackStaticEntry *entry
    while unlikely(lookup.pairs[slot] != 0):
        entry = &hpack_static[lookup.pairs[slot]]
        if (
            entry.name_length == name_length and entry.value_length == value_length
            and memcmp(entry.line, name, name_length) == 0
            and memcmp(entry.line + name_length + 2, value, value_length) == 0
        ):
            return lookup.pairs[slot]
        slot = (slot + 1) & STATIC_MASK
    return 0


# -- the dynamic table ------------------------------------------------------------------------------------------------

cdef inline bint ring_equal(const HpackTable *table, uint32_t offset, const char *text, uint32_t length) noexcept nogil:
    cdef uint32_t first
    offset &= HPACK_TABLE_MAX - 1
    if likely(offset + length <= HPACK_TABLE_MAX):
        return memcmp(&table.ring[offset], text, length) == 0
    first = HPACK_TABLE_MAX - offset
    return memcmp(&table.ring[offset], text, first) == 0 and memcmp(&table.ring[0], text + first, length - first) == 0


cdef inline uint32_t dynamic_pair(
    HpackEncoder *encoder, uint64_t hash, const char *name, uint32_t name_length, const char *value,
    uint32_t value_length
) noexcept nogil:
    """The index of the newest entry that is the field, or 0."""
    cdef const HpackTable *table = &encoder.table
    cdef uint32_t number = encoder.pair_heads[hash & PAIR_MASK]
    cdef uint32_t high = <uint32_t>(hash >> 32)
    cdef const HpackEntry *entry
    # Who is older than the oldest has gone, and so has whoever comes behind
    while table.newest - number < table.count:
        entry = hpack_table_entry(table, number)
        if (
            encoder.marks[number & (HPACK_ENTRIES - 1)].pair_hash == high
            and entry.name_length == name_length and entry.value_length == value_length
            and ring_equal(table, entry.offset, name, name_length)
            and ring_equal(table, entry.offset + name_length + 2, value, value_length)
        ):
            return HPACK_STATIC + 1 + table.newest - number
        number = encoder.marks[number & (HPACK_ENTRIES - 1)].pair_next
    return 0


cdef inline uint32_t dynamic_name(
    HpackEncoder *encoder, uint64_t hash, const char *name, uint32_t length
) noexcept nogil:
    cdef const HpackTable *table = &encoder.table
    cdef uint32_t number = encoder.name_heads[hash & NAME_MASK]
    cdef uint32_t high = <uint32_t>(hash >> 32)
    cdef const HpackEntry *entry
    while table.newest - number < table.count:
        entry = hpack_table_entry(table, number)
        if (
            encoder.marks[number & (HPACK_ENTRIES - 1)].name_hash == high
            and entry.name_length == length and ring_equal(table, entry.offset, name, length)
        ):
            return HPACK_STATIC + 1 + table.newest - number
        number = encoder.marks[number & (HPACK_ENTRIES - 1)].name_next
    return 0


cdef inline bint seen_before(HpackEncoder *encoder, uint64_t hash) noexcept nogil:
    """Whether the field was here a while ago; it is noted."""
    cdef uint16_t *place = &encoder.seen[hash & SEEN_MASK]
    cdef uint16_t rest = <uint16_t>(hash >> 48)
    if place[0] == rest:
        return True
    place[0] = rest
    return False


cdef void add(
    HpackEncoder *encoder, uint64_t name_hash, uint64_t pair_hash, const char *name, uint32_t name_length,
    const char *value, uint32_t value_length
) noexcept nogil:
    cdef HpackMark *mark
    cdef uint32_t number
    if not hpack_table_insert(&encoder.table, name, name_length, value, value_length, 0, 0):
        return
    number = encoder.table.newest
    mark = &encoder.marks[number & (HPACK_ENTRIES - 1)]
    mark.pair_hash = <uint32_t>(pair_hash >> 32)
    mark.name_hash = <uint32_t>(name_hash >> 32)
    mark.pair_next = encoder.pair_heads[pair_hash & PAIR_MASK]
    mark.name_next = encoder.name_heads[name_hash & NAME_MASK]
    encoder.pair_heads[pair_hash & PAIR_MASK] = number
    encoder.name_heads[name_hash & NAME_MASK] = number


cdef void hpack_encoder_init(HpackEncoder *encoder, const HpackLookup *lookup) noexcept nogil:
    memset(encoder, 0, sizeof(HpackEncoder))
    encoder.lookup = lookup
    hpack_table_init(&encoder.table)


cdef void hpack_encoder_allow(HpackEncoder *encoder, uint32_t size) noexcept nogil:
    if size > HPACK_TABLE_MAX:
        size = HPACK_TABLE_MAX
    if size == encoder.table.capacity:
        return
    if not encoder.changed or size < encoder.lowest:
        encoder.lowest = size
    encoder.changed = True
    hpack_table_resize(&encoder.table, size)


cdef uint8_t *hpack_encode_begin(HpackEncoder *encoder, uint8_t *out) noexcept nogil:
    if likely(not encoder.changed):
        return out
    # RFC 7541 section 4.2: the smallest since the last block, then the final one
    if encoder.lowest < encoder.table.capacity:
        out = hpack_write_integer(out, SIZE_UPDATE, 0x1f, encoder.lowest)
    encoder.changed = False
    return hpack_write_integer(out, SIZE_UPDATE, 0x1f, encoder.table.capacity)


# -- representations --------------------------------------------------------------------------------------------------

cdef inline uint8_t *write_string(uint8_t *out, const char *text, uint32_t length) noexcept nogil:
    out = hpack_write_integer(out, 0, 0x7f, length)
    memcpy(out, text, length)
    return out + length


cdef inline uint8_t *write_coded(uint8_t *out, const char *text, uint32_t length) noexcept nogil:
    """In the Huffman code where that is shorter."""
    cdef uint32_t coded = huffman_length(text, length)
    if coded >= length:
        return write_string(out, text, length)
    out = hpack_write_integer(out, HUFFMAN, 0x7f, coded)
    return huffman_encode(out, text, length)


cdef uint8_t *write_long_name(uint8_t *out, const char *name, uint32_t length) noexcept nogil:
    cdef uint32_t index
    out = hpack_write_integer(out, 0, 0x7f, length)
    for index in range(length):
        out[index] = <uint8_t>name[index] | 0x20 if c'A' <= name[index] <= c'Z' else <uint8_t>name[index]
    return out + length


cdef uint8_t *encode_miss(
    HpackEncoder *encoder, uint8_t *out, uint64_t name_hash, uint64_t pair_hash, uint32_t index, bint wanted,
    const char *name, uint32_t name_length, const char *value, uint32_t value_length
) noexcept nogil:
    """A field that is in no table; `index` is that of its name, 0: none. `wanted`: it may get a place."""
    if wanted and name_length + value_length + HPACK_OVERHEAD <= WORTH_MOST and seen_before(encoder, pair_hash):
        # Sent once, so it may cost a little: in the Huffman code
        out = hpack_write_integer(out, LITERAL_ADDED, 0x3f, index)
        if index == 0:
            out = write_coded(out, name, name_length)
        out = write_coded(out, value, value_length)
        add(encoder, name_hash, pair_hash, name, name_length, value, value_length)
        return out
    out = hpack_write_integer(out, LITERAL, 0x0f, index)
    if index == 0:
        out = write_string(out, name, name_length)
    return write_string(out, value, value_length)


cdef inline bint is_secret(int id, uint32_t value_length) noexcept nogil:
    return id == FieldId.FIELD_AUTHORIZATION or (id == FieldId.FIELD_COOKIE and value_length < HPACK_SHORT_COOKIE)


cdef uint8_t *hpack_encode_field(
    HpackEncoder *encoder, uint8_t *out, int id, const char *name, uint32_t name_length,
    const char *value, uint32_t value_length, bint never
) noexcept nogil:
    cdef char lower[64]
    cdef uint64_t name_hash, pair_hash
    cdef uint32_t index
    if unlikely(name_length > NAME_MOST):
        out[0] = LITERAL_NEVER if never else LITERAL
        return write_string(write_long_name(out + 1, name, name_length), value, value_length)
    lower_copy(lower, name, name_length)
    name_hash = hash_on(encoder.lookup.seed, lower, name_length)
    if unlikely(never or is_secret(id, value_length)):
        index = static_name(encoder.lookup, name_hash, lower, name_length)
        out = hpack_write_integer(out, LITERAL_NEVER, 0x0f, index)
        if index == 0:
            out = write_string(out, lower, name_length)
        return write_string(out, value, value_length)
    pair_hash = hash_on(name_hash, value, value_length)
    index = dynamic_pair(encoder, pair_hash, lower, name_length, value, value_length)
    if unlikely(index == 0):
        index = static_pair(encoder.lookup, pair_hash, lower, name_length, value, value_length)
    if likely(index != 0):
        return hpack_write_integer(out, INDEXED, 0x7f, index)
    index = static_name(encoder.lookup, name_hash, lower, name_length)
    if index == 0:
        index = dynamic_name(encoder, name_hash, lower, name_length)
    return encode_miss(
        encoder, out, name_hash, pair_hash, index, id != FieldId.FIELD_SET_COOKIE, lower, name_length, value,
        value_length,
    )


cdef uint8_t *hpack_encode_pseudo(
    HpackEncoder *encoder, uint8_t *out, uint32_t index, const char *value, uint32_t value_length
) noexcept nogil:
    cdef const HpackStaticEntry *entry = &hpack_static[index]
    cdef uint64_t name_hash, pair_hash
    cdef uint32_t found
    if index != AUTHORITY_NAME:
        # The first two of a name are the usual ones: GET and POST, "/", http and https
        for found in range(index, index + 2):
            if hpack_static[found].value_length == value_length and likely(
                memcmp(hpack_static[found].line + entry.name_length + 2, value, value_length) == 0
            ):
                out[0] = <uint8_t>(INDEXED | found)
                return out + 1
    name_hash = hash_on(encoder.lookup.seed, entry.line, entry.name_length)
    pair_hash = hash_on(name_hash, value, value_length)
    found = static_pair(encoder.lookup, pair_hash, entry.line, entry.name_length, value, value_length)
    if found == 0:
        found = dynamic_pair(encoder, pair_hash, entry.line, entry.name_length, value, value_length)
    if likely(found != 0):
        return hpack_write_integer(out, INDEXED, 0x7f, found)
    return encode_miss(
        encoder, out, name_hash, pair_hash, index, True, entry.line, entry.name_length, value, value_length
    )


cdef uint8_t *hpack_encode_status(HpackEncoder *encoder, uint8_t *out, uint16_t status) noexcept nogil:
    cdef char digits[3]
    cdef uint32_t index
    digits[0] = <char>(c'0' + status // 100)
    digits[1] = <char>(c'0' + status // 10 % 10)
    digits[2] = <char>(c'0' + status % 10)
    for index in range(STATUS_NAME, STATUS_NAME + 7):
        if memcmp(hpack_static[index].line + 9, digits, 3) == 0:
            out[0] = <uint8_t>(INDEXED | index)
            return out + 1
    return hpack_encode_pseudo(encoder, out, STATUS_NAME, digits, 3)
