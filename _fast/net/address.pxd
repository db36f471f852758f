"""Socket addresses as text."""
from tulle._fast.base.types cimport uint16_t, uint32_t

cdef enum:
    ADDRESS_TEXT = 64                  # room for the longest

# "127.0.0.1" or "::1", "unix" for anything else; answers its length, `*port` is 0 where there is none
cdef uint32_t address_text(const void *address, uint32_t length, char *text, uint16_t *port) noexcept nogil
# This end of a connected socket: "127.0.0.1:8080", "[::1]:8080" or "unix"
cdef uint32_t address_of_socket(int fd, char *text) noexcept nogil
