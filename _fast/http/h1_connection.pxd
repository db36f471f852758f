"""Connection options, and the fields that belong to one hop (RFC 9110 section 7.6.1, RFC 9112 section 9.3)."""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.message cimport FieldId, Message, field_bit

cdef enum:
    # Fields that are never forwarded, be they named by Connection or not. `Trailer` is not among them: trailers
    # are forwarded, and so is what announces them (RFC 9110 section 6.6.2).
    CONNECTION_HOP_FIELDS = (
        1 << FieldId.FIELD_CONNECTION | 1 << FieldId.FIELD_KEEP_ALIVE | 1 << FieldId.FIELD_PROXY_CONNECTION
        | 1 << FieldId.FIELD_TE | 1 << FieldId.FIELD_TRANSFER_ENCODING | 1 << FieldId.FIELD_UPGRADE
        | 1 << FieldId.FIELD_HTTP2_SETTINGS
    )

cdef enum:
    CONNECTION_NAMES_ROOM = 63
    CONNECTION_NAMES_ALL = 255         # a `length`: there were more than are kept

cdef struct ConnectionNames:           # what Connection named, for the trailer section that comes when the head is gone
    uint8_t length
    char text[63]                      # each with a comma behind it

# Sets MESSAGE_KEEP_ALIVE, MESSAGE_UPGRADE and MESSAGE_TE_TRAILERS, and FIELD_DROP on what Connection names
cdef int connection_parse(Message *message) noexcept nogil
# Of a parsed head: the names that may come up in its trailer section
cdef void connection_names_keep(ConnectionNames *names, const Message *message) noexcept nogil
# Sets FIELD_DROP on the fields of those names; on all fields when not all names were kept
cdef void connection_names_drop(const ConnectionNames *names, Message *trailers) noexcept nogil
