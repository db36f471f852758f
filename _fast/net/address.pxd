"""Socket addresses as text."""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t

cdef enum:
    ADDRESS_TEXT = 64                  # room for the longest

# "127.0.0.1" or "::1", "unix" for anything else; answers its length, `*port` is 0 where there is none
cdef uint32_t address_text(const void *address, uint32_t length, char *text, uint16_t *port) noexcept nogil
# The same with the port: "127.0.0.1:8080", "[::1]:8080" or "unix"
cdef uint32_t address_and_port(const void *address, uint32_t length, char *text) noexcept nogil
# This end of a connected socket: "127.0.0.1:8080", "[::1]:8080" or "unix"
cdef uint32_t address_of_socket(int fd, char *text) noexcept nogil
# An IP address, in brackets or not, as 16 bytes; one of IPv4 is ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). False: none
cdef bint address_bytes(const char *text, uint32_t length, uint8_t *address) noexcept nogil
# The same of a socket address
cdef bint address_of_peer(const void *address, uint32_t length, uint8_t *out) noexcept nogil
# 0: there is none
cdef uint16_t address_port(const void *address, uint32_t length) noexcept nogil
