"""See `address.pxd`."""
from libc.stdio cimport snprintf
from libc.string cimport memcpy, strlen

from tulle._fast.net.system cimport (
    AF_INET, AF_INET6, getsockname, inet_ntop, ntohs, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t,
)


cdef uint32_t address_text(const void *address, uint32_t length, char *text, uint16_t *port) noexcept nogil:
    cdef const sockaddr_in *v4 = <const sockaddr_in *>address
    cdef const sockaddr_in6 *v6 = <const sockaddr_in6 *>address
    if length >= sizeof(sockaddr_in) and v4.sin_family == AF_INET:
        inet_ntop(AF_INET, &v4.sin_addr, text, ADDRESS_TEXT)
        port[0] = ntohs(v4.sin_port)
    elif length >= sizeof(sockaddr_in6) and v6.sin6_family == AF_INET6:
        inet_ntop(AF_INET6, &v6.sin6_addr, text, ADDRESS_TEXT)
        port[0] = ntohs(v6.sin6_port)
    else:
        memcpy(text, b"unix\0", 5)
        port[0] = 0
    return <uint32_t>strlen(text)


cdef uint32_t address_of_socket(int fd, char *text) noexcept nogil:
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    cdef char host[ADDRESS_TEXT]
    cdef uint16_t port = 0
    if getsockname(fd, <sockaddr *>&address, &length) < 0:
        return 0
    if address_text(&address, length, host, &port) == 0 or port == 0:
        memcpy(text, b"unix", 4)
        return 4
    if address.ss_family == AF_INET6:
        return <uint32_t>snprintf(text, ADDRESS_TEXT, b"[%s]:%u", host, <unsigned int>port)
    return <uint32_t>snprintf(text, ADDRESS_TEXT, b"%s:%u", host, <unsigned int>port)
