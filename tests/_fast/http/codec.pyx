"""The codec as plain Python functions, for tests, the fuzzer and benchmarks; built in place only.

Every input lies so that it ends where an unmapped page begins, and so does every output buffer: touching one byte
too many is a crash. With `cuts` an input comes in pieces, each parse seeing the prefix up to the next cut in another
place of memory, as when a buffer grows.
"""
from libc.string cimport memcpy, memset
from tulle._fast.base.types cimport BUG_ON, uint32_t, uint64_t
from tulle._fast.http.authority cimport authority_valid
from tulle._fast.http.date cimport DATE_LENGTH, http_date
from tulle._fast.http.date_parse cimport http_date_parse, retry_after_seconds
from tulle._fast.http.field cimport field_id
from tulle._fast.http.h1_chunk cimport ChunkDecoder, ChunkResult, chunk_decode, chunk_init, chunk_write_size
from tulle._fast.http.h1_connection cimport ConnectionNames, connection_names_drop, connection_names_keep
from tulle._fast.http.h1_parse cimport (
    Parse, ParseLimits, h1_message_init, h1_parse_request, h1_parse_response, h1_parse_trailers, parse_error_status,
    parse_error_text,
)
from tulle._fast.http.h1_write cimport (
    Extra, HeadEdits, h1_head_bound, h1_reason, h1_write_request, h1_write_response, h1_write_trailers,
)
from tulle._fast.http.message cimport MESSAGE_FIELDS_MAX, Field, FieldFlags, Message, MessageFlags

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int mprotect(void *address, size_t length, int protection) noexcept
    int PROT_NONE, PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS
    void *MAP_FAILED

cdef enum:
    PAGE = 4096

REQUEST, RESPONSE, TRAILERS = range(3)
RESULTS = {
    Parse.PARSE_MORE: "more",
    Parse.PARSE_DONE: "done",
    Parse.PARSE_BAD_START_LINE: "bad start line",
    Parse.PARSE_BAD_METHOD: "bad method",
    Parse.PARSE_BAD_TARGET: "bad target",
    Parse.PARSE_BAD_VERSION: "bad version",
    Parse.PARSE_UNSUPPORTED_VERSION: "unsupported version",
    Parse.PARSE_BAD_STATUS: "bad status",
    Parse.PARSE_BAD_FIELD_NAME: "bad field name",
    Parse.PARSE_BAD_FIELD_VALUE: "bad field value",
    Parse.PARSE_OBS_FOLD: "obs-fold",
    Parse.PARSE_BAD_LINE_END: "bad line end",
    Parse.PARSE_BAD_HOST: "bad host",
    Parse.PARSE_BAD_CONTENT_LENGTH: "bad content-length",
    Parse.PARSE_LENGTH_AND_CODING: "length and coding",
    Parse.PARSE_BAD_TRANSFER_ENCODING: "bad transfer-encoding",
    Parse.PARSE_LINE_TOO_LONG: "line too long",
    Parse.PARSE_HEAD_TOO_LARGE: "head too large",
    Parse.PARSE_TOO_MANY_FIELDS: "too many fields",
    Parse.PARSE_BAD_CHUNK: "bad chunk",
    Parse.PARSE_BAD_TRAILER: "bad trailer",
    Parse.PARSE_BAD_CONNECTION: "bad connection",
    Parse.PARSE_EXPECTATION: "bad expectation",
}
METHODS = ("other", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE")
FRAMINGS = ("none", "length", "chunked", "close", "tunnel")
TARGET_FORMS = ("origin", "absolute", "authority", "asterisk")
FLAGS = {
    "keep-alive": MessageFlags.MESSAGE_KEEP_ALIVE,
    "expect-continue": MessageFlags.MESSAGE_EXPECT_CONTINUE,
    "upgrade": MessageFlags.MESSAGE_UPGRADE,
    "te-trailers": MessageFlags.MESSAGE_TE_TRAILERS,
}


cdef class Guarded:
    """Memory that ends at a page which must not be touched."""

    def __cinit__(self, size_t capacity):
        self.size = (capacity // PAGE + 1) * PAGE
        self.pages = <char *>mmap(
            NULL, self.size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
        )
        if self.pages == MAP_FAILED:
            raise MemoryError(f"no room to map {self.size + PAGE} bytes")
        self.end = self.pages + self.size
        mprotect(self.end, PAGE, PROT_NONE)

    def __dealloc__(self):
        if self.pages != NULL and self.pages != MAP_FAILED:
            munmap(self.pages, self.size + PAGE)

    cdef char *place(self, const char *data, size_t length) noexcept:
        BUG_ON(length > self.size)
        memcpy(self.end - length, data, length)
        return self.end - length

    cdef char *room(self, size_t length) noexcept:
        BUG_ON(length > self.size)
        memset(self.pages, 0xdb, self.size)
        return self.end - length


cdef bytes part(const Message *message, bytes data, uint32_t offset, uint32_t length):
    """The bytes of a part, None when it is absent."""
    if offset > message.head_length or length > message.head_length - offset:
        raise AssertionError(f"part at {offset}+{length} outside of a head of {message.head_length} bytes")
    return data[offset:offset + length] if offset or length else None


cdef dict described(const Message *message, bytes data):
    cdef const Field *field
    fields = []
    for index in range(message.field_count):
        field = &message.fields[index]
        fields.append((
            part(message, data, field.name, field.name_length), part(message, data, field.value, field.value_length),
            field.id, bool(field.flags & FieldFlags.FIELD_DROP),
        ))
    return {
        "result": "done",
        "head_length": message.head_length,
        "start": message.start,
        "fields_end": message.fields_end,
        "version_minor": message.version_minor,
        "method": METHODS[message.method],
        "method_text": part(message, data, message.method_offset, message.method_length),
        "target": part(message, data, message.target, message.target_length),
        "target_form": TARGET_FORMS[message.target_form],
        "authority": part(message, data, message.authority, message.authority_length),
        "path": part(message, data, message.path, message.path_length),
        "query": part(message, data, message.query, message.query_length),
        "status": message.status,
        "reason": part(message, data, message.reason, message.reason_length),
        "framing": FRAMINGS[message.framing],
        "content_length": message.content_length,
        "flags": {name for name, bit in FLAGS.items() if message.flags & bit},
        "known": {number for number in range(1, 32) if message.known >> number & 1},
        "repeated": {number for number in range(1, 32) if message.repeated >> number & 1},
        "first": {number: message.first[number] for number in range(1, 32) if message.known >> number & 1},
        "fields": fields,
    }


cdef int parse_once(Message *message, int kind, const char *base, uint32_t length, ParseLimits *limits, int method):
    if kind == 0:
        return h1_parse_request(message, base, length, limits)
    if kind == 1:
        return h1_parse_response(message, base, length, limits, method)
    return h1_parse_trailers(message, base, length, limits)


cdef ParseLimits limits_of(limits):
    cdef ParseLimits out
    out.head, out.line, out.fields = limits
    return out


cdef int parse_pieces(Message *message, Guarded memory, int kind, bytes data, cuts, limits, method) except? -99:
    cdef ParseLimits bounds = limits_of(limits)
    cdef int request_method = METHODS.index(method)
    cdef int result = Parse.PARSE_MORE
    memset(message, 0xdb, sizeof(Message))
    h1_message_init(message)
    for length in (*cuts, len(data)):
        result = parse_once(message, kind, memory.place(data, length), length, &bounds, request_method)
        if result != Parse.PARSE_MORE:
            break
    return result


def parse(int kind, bytes data, cuts=(), limits=(61440, 8192, 100), method="GET"):
    """Parse `data` as REQUEST, RESPONSE (to `method`) or TRAILERS, with `limits` (head bytes, line bytes, fields)."""
    cdef Message message
    cdef int result = parse_pieces(&message, Guarded(len(data)), kind, data, cuts, limits, method)
    return described(&message, data) if result == Parse.PARSE_DONE else {"result": RESULTS[result]}


def trailers_after(bytes head, bytes section):
    """The names in a trailer section that may go on after the head of a chunked request, its bytes gone by then."""
    cdef ConnectionNames names
    cdef Message message
    cdef Guarded memory = Guarded(len(head))
    if parse_pieces(&message, memory, 0, head, (), (1 << 20, 1 << 20, MESSAGE_FIELDS_MAX), "GET") != 1:
        raise ValueError(f"no head: {head!r}")
    memset(&names, 0xdb, sizeof(names))
    connection_names_keep(&names, &message)
    memory = Guarded(len(section))
    if parse_pieces(&message, memory, 2, section, (), (1 << 20, 1 << 20, MESSAGE_FIELDS_MAX), "GET") != 1:
        raise ValueError(f"no trailer section: {section!r}")
    connection_names_drop(&names, &message)
    return [name for name, _, _, drop in described(&message, section)["fields"] if not drop]


def write(int kind, bytes data, target=None, extras=(), status=None, bint verbatim=True, method="GET"):
    """Parse `data` whole and write it again with edits; None when it is not a whole valid head."""
    cdef Message message
    cdef HeadEdits edits
    cdef Extra extra[16]
    cdef uint32_t bound, length
    cdef Guarded memory = Guarded(len(data))
    cdef Guarded output
    cdef char *out
    if parse_pieces(&message, memory, kind, data, (), (1 << 20, 1 << 20, MESSAGE_FIELDS_MAX), method) != 1:
        return None
    edits.target = NULL
    edits.target_length = 0
    if target is not None:
        edits.target = target
        edits.target_length = len(target)
    edits.extras = extra
    edits.extra_count = len(extras)
    for index, (name, value) in enumerate(extras):
        extra[index] = Extra(name=name, value=value, name_length=len(name), value_length=len(value))
    bound = h1_head_bound(&message, &edits, verbatim)
    output = Guarded(bound)
    out = output.room(bound)
    if kind == REQUEST:
        length = h1_write_request(out, &message, &edits, verbatim)
    elif kind == RESPONSE:
        length = h1_write_response(out, &message, &edits, message.status if status is None else status, verbatim)
    else:
        length = h1_write_trailers(out, &message, verbatim)
    BUG_ON(length > bound)
    return out[:length]


def decode_chunks(bytes data, cuts=()):
    """(result, body, bytes consumed) of a chunked body that comes in the pieces between the cuts."""
    cdef ChunkDecoder decoder
    cdef Guarded memory = Guarded(len(data))
    cdef uint32_t consumed, start, produced
    cdef uint32_t position = 0
    cdef char *piece
    cdef int result = ChunkResult.CHUNK_MORE
    body = []
    chunk_init(&decoder)
    for end in (*cuts, len(data)):
        text = data[position:end]
        piece = memory.place(text, len(text))
        result = chunk_decode(&decoder, piece, len(text), &consumed, &start, &produced)
        BUG_ON(consumed > len(text) or start + produced > consumed)
        body.append(piece[start:start + produced])
        position += consumed
        if result != ChunkResult.CHUNK_MORE:
            break
        BUG_ON(consumed != len(text))
    name = {ChunkResult.CHUNK_MORE: "more", ChunkResult.CHUNK_LAST: "last", ChunkResult.CHUNK_ERROR: "error"}[result]
    return name, b"".join(body), position


def chunk_size_line(uint64_t size):
    """What goes out before a chunk of that many bytes."""
    cdef Guarded memory = Guarded(18)
    cdef char *out = memory.room(18)
    return out[:chunk_write_size(out, size)]


def is_authority(bytes text, bint port_required=False):
    """Whether `text` is an authority as `authority.pxd` wants it."""
    cdef Guarded memory = Guarded(len(text))
    return bool(authority_valid(memory.place(text, len(text)), len(text), port_required))


def field_number(bytes name):
    """The FieldId of a name, 0 for one that has none."""
    cdef Guarded memory = Guarded(len(name))
    return field_id(memory.place(name, len(name)), len(name))


def date_text(uint64_t seconds):
    """Seconds since 1970 as HTTP writes them."""
    cdef Guarded output = Guarded(DATE_LENGTH)
    cdef char *out = output.room(DATE_LENGTH)
    http_date(out, seconds)
    return out[:DATE_LENGTH]


def date_seconds(bytes text):
    """And back, -1 when it is no date."""
    cdef Guarded memory = Guarded(len(text))
    return http_date_parse(memory.place(text, len(text)), <uint32_t>len(text))


def retry_after(bytes data, uint64_t wall):
    """For how many seconds a response asks to be left alone, -1 when it does not."""
    cdef Message message
    cdef Guarded memory = Guarded(len(data))
    parse_pieces(&message, memory, RESPONSE, data, (), (61440, 8192, 100), "GET")
    return retry_after_seconds(&message, wall)


def reason(int status):
    """The reason phrase that we send with a status."""
    return <bytes>h1_reason(status)


def error(str result):
    """(status, text) of an error by its name in RESULTS."""
    for number, name in RESULTS.items():
        if name == result:
            return parse_error_status(number), <bytes>parse_error_text(number)
    raise KeyError(result)


def parse_often(int kind, bytes data, int times):
    """Parse a whole head that many times without the GIL, for benchmarks; True when each was done."""
    cdef Message message
    cdef ParseLimits limits = limits_of((61440, 8192, 100))
    cdef const char *base = data
    cdef uint32_t length = len(data)
    cdef int done = 0
    cdef int _
    with nogil:
        for _ in range(times):
            h1_message_init(&message)
            if kind == 0:
                done += h1_parse_request(&message, base, length, &limits)
            else:
                done += h1_parse_response(&message, base, length, &limits, 1)
    return done == times


def write_often(int kind, bytes data, int times):
    """Write a request or response again that many times without the GIL; the length of what was written."""
    cdef Message message
    cdef HeadEdits edits
    cdef uint32_t length = 0
    cdef int _
    room = bytearray(len(data) + 128)
    cdef char *out = room
    if parse_pieces(&message, Guarded(len(data)), kind, data, (), (61440, 8192, 100), "GET") != Parse.PARSE_DONE:
        raise ValueError("not a whole valid head")
    message.base = data
    edits.target = NULL
    edits.extra_count = 0
    with nogil:
        for _ in range(times):
            if kind == 0:
                length = h1_write_request(out, &message, &edits, True)
            else:
                length = h1_write_response(out, &message, &edits, message.status, True)
    return length


def decode_often(bytes data, int times):
    """Decode a whole chunked body that many times without the GIL; the bytes of body in each."""
    cdef ChunkDecoder decoder
    cdef uint32_t consumed, start
    cdef uint32_t produced = 0
    cdef uint32_t length = len(data)
    cdef const char *source = data
    cdef int _
    room = bytearray(length)
    cdef char *body = room
    with nogil:
        for _ in range(times):
            memcpy(body, source, length)
            chunk_init(&decoder)
            chunk_decode(&decoder, body, length, &consumed, &start, &produced)
    return produced
