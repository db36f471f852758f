"""A message head, whatever protocol carried it: the one type that `http` shares with `policy` and `flow`.

A head is bytes at `base` plus numbers: every part is an (offset, length) pair relative to `base`, so the
bytes may move to a larger buffer and the message stays true. An HTTP/1 head lies in the buffer that recv
filled; an HTTP/2 head in an arena that HPACK wrote. Nothing here owns the bytes.

Offsets and lengths are bytes. A length of 0 with offset 0 means absent.
"""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    MESSAGE_FIELDS_MAX = 255          # of the table; the configured limit is at most this
    VERSION_HTTP_2 = 2                # in `version_minor`

cdef enum Method:
    METHOD_OTHER = 0                  # a valid token that is none of these; the text is in the message
    METHOD_GET
    METHOD_HEAD
    METHOD_POST
    METHOD_PUT
    METHOD_DELETE
    METHOD_OPTIONS
    METHOD_PATCH
    METHOD_CONNECT
    METHOD_TRACE

cdef enum FieldId:
    FIELD_OTHER = 0
    FIELD_HOST
    FIELD_CONNECTION
    FIELD_CONTENT_LENGTH
    FIELD_TRANSFER_ENCODING
    FIELD_EXPECT
    FIELD_UPGRADE
    FIELD_KEEP_ALIVE
    FIELD_PROXY_CONNECTION
    FIELD_TE
    FIELD_TRAILER
    FIELD_HTTP2_SETTINGS
    FIELD_X_FORWARDED_FOR
    FIELD_X_FORWARDED_PROTO
    FIELD_X_FORWARDED_HOST
    FIELD_X_REQUEST_ID
    FIELD_VIA
    FIELD_USER_AGENT
    FIELD_RETRY_AFTER
    FIELD_TRACEPARENT
    FIELD_COOKIE
    FIELD_SET_COOKIE
    FIELD_AUTHORIZATION
    FIELD_X_FORWARDED_CLIENT_CERT
    FIELD_ID_COUNT

cdef enum FieldFlags:
    FIELD_DROP = 1                    # not forwarded: hop-by-hop, named by Connection, removed or replaced by us
    FIELD_NEVER_INDEXED = 2           # HPACK: no table may keep it, here or further on (RFC 7541 section 7.1.3)

cdef enum Framing:
    FRAMING_NONE = 0                  # no body at all
    FRAMING_LENGTH                    # `content_length` bytes
    FRAMING_CHUNKED
    FRAMING_CLOSE                     # until the peer closes (responses only)
    FRAMING_TUNNEL                    # after 101, or 2xx to CONNECT: not a message body any more

cdef enum TargetForm:
    TARGET_ORIGIN = 0                 # RFC 9112 section 3.2.1
    TARGET_ABSOLUTE                   # 3.2.2
    TARGET_AUTHORITY                  # 3.2.3, CONNECT only
    TARGET_ASTERISK                   # 3.2.4, OPTIONS only

cdef enum MessageFlags:
    MESSAGE_KEEP_ALIVE = 1            # the sender lets the connection persist (RFC 9112 section 9.3)
    MESSAGE_EXPECT_CONTINUE = 2       # Expect: 100-continue on an HTTP/1.1 request
    MESSAGE_UPGRADE = 4               # Upgrade present and named by Connection
    MESSAGE_TE_TRAILERS = 8           # TE: trailers

cdef struct Field:
    uint32_t name                     # offset; for HTTP/1 also where the line begins
    uint32_t value                    # offset, without surrounding white space
    uint32_t value_length
    uint16_t name_length
    uint8_t id                        # FieldId
    uint8_t flags                     # FieldFlags

cdef struct Message:
    const char *base
    uint32_t head_length              # whole head with the empty line; 0 until it is complete
    uint32_t position                 # parser only: start of the first line not parsed yet
    uint32_t start                    # offset of the start line (after tolerated empty lines)
    uint32_t fields_end               # offset just after the last field line (where the empty line begins)
    uint16_t field_count
    uint16_t status                   # responses
    uint8_t method                    # Method; of the request in question, in responses too
    uint8_t version_minor             # HTTP/1.x, or VERSION_HTTP_2
    uint8_t framing                   # Framing
    uint8_t target_form               # TargetForm
    uint32_t flags                    # MessageFlags
    uint32_t known                    # bit per FieldId seen
    uint32_t repeated                 # bit per FieldId seen more than once (FIELD_OTHER means nothing here)
    uint32_t method_offset
    uint32_t method_length
    uint32_t target                   # request target as it came
    uint32_t target_length
    uint32_t authority                # of the target where it has one (Host is then FIELD_DROP), else the value of Host
    uint32_t authority_length
    uint32_t path                     # starts with "/" (or is "*"), no query; absent: CONNECT, `OPTIONS http://host`
    uint32_t path_length
    uint32_t query                    # without "?"
    uint32_t query_length
    uint32_t scheme                   # HTTP/2 requests
    uint32_t scheme_length
    uint32_t protocol                 # HTTP/2, extended CONNECT (RFC 8441)
    uint32_t protocol_length
    uint32_t reason                   # responses
    uint32_t reason_length
    uint64_t content_length           # when framing is FRAMING_LENGTH
    uint8_t first[32]                 # index of the first field of a FieldId whose bit is in `known`
    Field fields[MESSAGE_FIELDS_MAX]

cdef inline const char *message_at(const Message *message, uint32_t offset) noexcept nogil:
    return message.base + offset

cdef inline uint32_t field_bit(int field_id) noexcept nogil:
    """The bit of that id in `known` and `repeated`."""
    return <uint32_t>1 << field_id

cdef inline const Field *message_field(const Message *message, int field_id) noexcept nogil:
    """The first field of that id, or NULL."""
    if not message.known & field_bit(field_id):
        return NULL
    return &message.fields[message.first[field_id]]
