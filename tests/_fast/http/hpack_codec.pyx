"""HPACK as Python objects, for tests, the fuzzer and benchmarks; built in place only.

Blocks, arenas and what is encoded end where an unmapped page begins.
"""
from libc.string cimport memset
from tests._fast.http.codec cimport Guarded
from tulle._fast.base.types cimport BUG_ON, int64_t, uint8_t, uint32_t, uint64_t
from tulle._fast.http.field cimport field_id
from tulle._fast.http.hpack_code cimport huffman_codes
from tulle._fast.http.hpack_decode cimport (
    HPACK_ARENA_LEAST, HpackDecoder, HpackLimits, HpackResult, HpackSection, hpack_decode, hpack_decoder_allow,
    hpack_decoder_init,
)
from tulle._fast.http.hpack_encode cimport (
    HPACK_BEGIN_MOST, HPACK_FIELD_FRAME, HpackEncoder, HpackLookup, hpack_encode_begin, hpack_encode_field,
    hpack_encode_pseudo, hpack_encode_status, hpack_encoder_allow, hpack_encoder_init, hpack_lookup_init,
)
from tulle._fast.http.hpack_huffman cimport huffman_decode, huffman_encode, huffman_length
from tulle._fast.http.hpack_table cimport HpackEntry, hpack_ring_copy, hpack_static, hpack_table_entry
from tulle._fast.http.message cimport Field, Message

REQUEST, RESPONSE, TRAILERS = HpackSection.HPACK_REQUEST, HpackSection.HPACK_RESPONSE, HpackSection.HPACK_TRAILERS
RESULTS = {
    HpackResult.HPACK_DONE: "done",
    HpackResult.HPACK_MALFORMED: "malformed",
    HpackResult.HPACK_TOO_LARGE: "too large",
    HpackResult.HPACK_ERROR: "error",
}
ARENA_LEAST = HPACK_ARENA_LEAST
PSEUDO = {b":authority": 1, b":method": 2, b":path": 4, b":scheme": 6, b":status": 8}


def huffman_code(int symbol):
    """(code, length) of an octet."""
    return huffman_codes[symbol].code, huffman_codes[symbol].length


def static_entry(int index):
    """(name, value, id) in the static table."""
    cdef bytes line = hpack_static[index].line
    name, value = line[:len(line) - 2].split(b": ", 1)
    if len(name) != hpack_static[index].name_length or len(value) != hpack_static[index].value_length:
        raise AssertionError(f"lengths of entry {index}")
    return name, value, hpack_static[index].id


def decode_huffman(bytes text, room=None):
    """What a text in the code says; None when it is wrong, "no room" when `room` bytes do not hold it."""
    cdef uint32_t size = len(text) * 2 if room is None else room
    cdef Guarded source = Guarded(len(text))
    cdef Guarded target = Guarded(size)
    cdef char *out = target.room(size)
    cdef int64_t length = huffman_decode(
        out, size, <const uint8_t *>source.place(text, len(text)), <uint32_t>len(text)
    )
    BUG_ON(length > <int64_t>size)
    if length < 0:
        return None if length == -1 else "no room"
    return out[:length]


def encode_huffman(bytes text):
    cdef Guarded source = Guarded(len(text))
    cdef uint32_t length = huffman_length(source.place(text, len(text)), <uint32_t>len(text))
    cdef Guarded target = Guarded(length)
    cdef char *out = target.room(length)
    BUG_ON(huffman_encode(<uint8_t *>out, source.end - len(text), <uint32_t>len(text)) != <uint8_t *>out + length)
    return out[:length]


cdef bytes part(const Message *message, uint32_t offset, uint32_t length):
    if offset + length > message.head_length:
        raise AssertionError(f"part at {offset}+{length} outside of {message.head_length} bytes")
    return message.base[offset:offset + length] if length else None


cdef dict described(const Message *message):
    cdef const Field *field
    fields = []
    lines = b""
    for index in range(message.field_count):
        field = &message.fields[index]
        name = part(message, field.name, field.name_length)
        value = part(message, field.value, field.value_length) or b""
        if field.id != field_id(name, <uint32_t>len(name)):
            raise AssertionError(f"id of {name}")
        fields.append((name, value, field.flags))
        lines += name + b": " + value + b"\r\n"
    begin = message.fields[0].name if message.field_count else message.fields_end
    return {
        "result": "done",
        "method": part(message, message.method_offset, message.method_length),
        "path": part(message, message.target, message.target_length),
        "scheme": part(message, message.scheme, message.scheme_length),
        "authority": part(message, message.authority, message.authority_length),
        "protocol": part(message, message.protocol, message.protocol_length),
        "status": message.status,
        "fields": fields,
        "verbatim": message.base[begin:message.fields_end] == lines,
        "known": {number for number in range(1, 32) if message.known >> number & 1},
        "repeated": {number for number in range(1, 32) if message.repeated >> number & 1},
        "first": {number: message.first[number] for number in range(1, 32) if message.known >> number & 1},
    }


cdef class Decoder:
    cdef HpackDecoder decoder

    def __cinit__(self):
        memset(&self.decoder, 0xdb, sizeof(HpackDecoder))
        hpack_decoder_init(&self.decoder)

    def allow(self, uint32_t size):
        hpack_decoder_allow(&self.decoder, size)

    def decode(self, bytes block, int section=0, uint32_t size=1 << 20, uint32_t fields=255, uint32_t room=1 << 17):
        """The message, or {"result": why not}."""
        cdef Guarded source = Guarded(len(block))
        cdef Guarded target = Guarded(room)
        cdef HpackLimits limits = HpackLimits(size=size, fields=fields)
        cdef Message message
        cdef int result
        memset(&message, 0xdb, sizeof(Message))
        result = hpack_decode(
            &self.decoder, &message, section, <const uint8_t *>source.place(block, len(block)), <uint32_t>len(block),
            target.room(room), room, &limits,
        )
        return described(&message) if result == HpackResult.HPACK_DONE else {"result": RESULTS[result]}

    def table(self):
        """What the dynamic table holds, the newest first, and its size."""
        cdef char line[4096]
        cdef const HpackEntry *entry
        cdef uint32_t age, length
        entries = []
        for age in range(self.decoder.table.count):
            entry = hpack_table_entry(&self.decoder.table, self.decoder.table.newest - age)
            length = entry.name_length + entry.value_length + 4
            hpack_ring_copy(&self.decoder.table, line, entry.offset, length)
            entries.append((line[:entry.name_length], line[entry.name_length + 2:length - 2]))
        return entries, self.decoder.table.size

    def decode_often(self, bytes block, int section, int times):
        """Decode without the GIL, for benchmarks; the block must not change the table."""
        cdef HpackLimits limits = HpackLimits(size=1 << 16, fields=100)
        cdef Message message
        cdef char arena[16384]
        cdef const uint8_t *source = block
        cdef uint32_t length = len(block)
        cdef int done = 0
        cdef int _
        with nogil:
            for _ in range(times):
                done += hpack_decode(&self.decoder, &message, section, source, length, arena, sizeof(arena), &limits)
        return done == times


cdef class Encoder:
    cdef HpackLookup lookup
    cdef HpackEncoder encoder

    def __cinit__(self, uint64_t seed=0):
        memset(&self.encoder, 0xdb, sizeof(HpackEncoder))
        hpack_lookup_init(&self.lookup, seed)
        hpack_encoder_init(&self.encoder, &self.lookup)

    def allow(self, uint32_t size):
        hpack_encoder_allow(&self.encoder, size)

    cdef uint8_t *put(self, uint8_t *out, bytes name, bytes value, bint never) except NULL:
        if name == b":status":
            return hpack_encode_status(&self.encoder, out, int(value))
        if name in PSEUDO:
            return hpack_encode_pseudo(&self.encoder, out, PSEUDO[name], value, <uint32_t>len(value))
        return hpack_encode_field(
            &self.encoder, out, field_id(name, <uint32_t>len(name)), name, <uint32_t>len(name), value,
            <uint32_t>len(value), never,
        )

    def encode(self, fields):
        """The block of (name, value) or (name, value, never indexed)."""
        cdef uint32_t bound = HPACK_BEGIN_MOST + sum(
            len(field[0]) + len(field[1]) + HPACK_FIELD_FRAME for field in fields
        )
        cdef Guarded target = Guarded(bound)
        cdef uint8_t *begin = <uint8_t *>target.room(bound)
        cdef uint8_t *out = hpack_encode_begin(&self.encoder, begin)
        for field in fields:
            out = self.put(out, field[0], field[1], len(field) > 2 and field[2])
        BUG_ON(out > <uint8_t *>target.end)
        return (<char *>begin)[:out - begin]

    def encode_often(self, fields, int times):
        """Encode a list of at most 32 fields without the GIL, for benchmarks; the length of the last block."""
        cdef const char *names[32]
        cdef const char *values[32]
        cdef uint32_t name_lengths[32]
        cdef uint32_t value_lengths[32]
        cdef int pseudo[32]
        cdef int ids[32]
        cdef uint8_t block[16384]
        cdef uint8_t *out = block
        cdef int count = 0
        cdef int index, _
        for name, value in fields:
            names[count] = name
            values[count] = value
            name_lengths[count] = len(name)
            value_lengths[count] = len(value)
            pseudo[count] = PSEUDO.get(name, 0)
            ids[count] = field_id(name, <uint32_t>len(name))
            count += 1
        with nogil:
            for _ in range(times):
                out = hpack_encode_begin(&self.encoder, block)
                for index in range(count):
                    if pseudo[index]:
                        out = hpack_encode_pseudo(
                            &self.encoder, out, pseudo[index], values[index], value_lengths[index]
                        )
                    else:
                        out = hpack_encode_field(
                            &self.encoder, out, ids[index], names[index], name_lengths[index], values[index],
                            value_lengths[index], False,
                        )
        return out - block
