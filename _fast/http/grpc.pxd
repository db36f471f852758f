"""What gRPC says in heads and trailers: content type, status, message, timeout (its PROTOCOL-HTTP2.md), and how its
statuses and those of HTTP stand for each other.

Pure. Called by `flow`. A number that is no status is GRPC_UNKNOWN, as all its implementations take it.
"""
from tulle._fast.base.types cimport uint16_t, uint32_t, uint64_t
from tulle._fast.http.message cimport Message

cdef enum GrpcStatus:
    GRPC_OK = 0
    GRPC_CANCELLED = 1
    GRPC_UNKNOWN = 2
    GRPC_DEADLINE_EXCEEDED = 4
    GRPC_PERMISSION_DENIED = 7
    GRPC_RESOURCE_EXHAUSTED = 8
    GRPC_UNIMPLEMENTED = 12
    GRPC_INTERNAL = 13
    GRPC_UNAVAILABLE = 14
    GRPC_UNAUTHENTICATED = 16
    GRPC_STATUSES = 17
    GRPC_NONE = -1                     # none is said

cdef enum:
    GRPC_TIMEOUT_ROOM = 16             # bytes of a grpc-timeout
    GRPC_NUMBER_ROOM = 4               # bytes of a grpc-status

# A POST of the content type application/grpc, bare or with a suffix; not gRPC-Web
cdef bint grpc_is_request(const Message *message) noexcept nogil
# The GrpcStatus that a head or trailers say
cdef int grpc_status_of(const Message *message) noexcept nogil
# What stands for an answer that says none (http-grpc-status-mapping.md)
cdef int grpc_of_http(uint32_t status) noexcept nogil
# And the other way round, as Envoy judges hosts by (google.rpc.Code)
cdef uint16_t grpc_to_http(int status) noexcept nogil
# Nanoseconds of grpc-timeout; False: there is none that is well formed
cdef bint grpc_timeout_of(const Message *message, uint64_t *timeout) noexcept nogil
# A timeout, at least one of the smallest unit; its length
cdef uint32_t grpc_timeout_write(char *out, uint64_t timeout) noexcept nogil
# grpc-message, percent-encoded, as much of it as there is room for; its length
cdef uint32_t grpc_message_write(char *out, uint32_t room, const char *text, uint32_t length) noexcept nogil
# What grpc-message says, decoded, as much of it as there is room for; its length, 0 when there is none
cdef uint32_t grpc_message_read(const Message *message, char *out, uint32_t room) noexcept nogil
# GRPC_NUMBER_ROOM bytes at most; their number
cdef uint32_t grpc_number_write(char *out, int status) noexcept nogil
# The names that Envoy's access log has: "DeadlineExceeded", and "DEADLINE_EXCEEDED"
cdef const char *grpc_camel_name(int status) noexcept nogil
cdef const char *grpc_snake_name(int status) noexcept nogil
