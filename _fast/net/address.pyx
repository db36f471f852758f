"""See `address.pxd`."""
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcpy, memset, strlen

from tulle._fast.net.system cimport (
    AF_INET, AF_INET6, getsockname, inet_ntop, inet_pton, ntohs, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage,
    socklen_t,
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


cdef uint32_t address_and_port(const void *address, uint32_t length, char *text) noexcept nogil:
    cdef char host[ADDRESS_TEXT]
    cdef uint16_t port = 0
    if address_text(address, length, host, &port) == 0 or port == 0:
        memcpy(text, b"unix", 4)
        return 4
    if (<const sockaddr *>address).sa_family == AF_INET6:
        return <uint32_t>snprintf(text, ADDRESS_TEXT, b"[%s]:%u", host, <unsigned int>port)
    return <uint32_t>snprintf(text, ADDRESS_TEXT, b"%s:%u", host, <unsigned int>port)


cdef uint32_t address_of_socket(int fd, char *text) noexcept nogil:
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    if getsockname(fd, <sockaddr *>&address, &length) < 0:
        return 0
    return address_and_port(&address, length, text)


cdef bint address_of_peer(const void *address, uint32_t length, uint8_t *out) noexcept nogil:
    cdef const sockaddr_in *v4 = <const sockaddr_in *>address
    cdef const sockaddr_in6 *v6 = <const sockaddr_in6 *>address
    if length >= sizeof(sockaddr_in6) and v6.sin6_family == AF_INET6:
        memcpy(out, &v6.sin6_addr, 16)
        return True
    if length < sizeof(sockaddr_in) or v4.sin_family != AF_INET:
        return False
    memset(out, 0, 10)
    memset(out + 10, 0xff, 2)
    memcpy(out + 12, &v4.sin_addr, 4)
    return True


cdef uint16_t address_port(const void *address, uint32_t length) noexcept nogil:
    cdef const sockaddr_in *v4 = <const sockaddr_in *>address
    cdef const sockaddr_in6 *v6 = <const sockaddr_in6 *>address
    if length >= sizeof(sockaddr_in6) and v6.sin6_family == AF_INET6:
        return ntohs(v6.sin6_port)
    if length >= sizeof(sockaddr_in) and v4.sin_family == AF_INET:
        return ntohs(v4.sin_port)
    return 0


cdef bint address_bytes(const char *text, uint32_t length, uint8_t *address) noexcept nogil:
    cdef char copy[ADDRESS_TEXT]
    if length >= 2 and text[0] == c'[' and text[length - 1] == c']':
        text += 1
        length -= 2
    if length == 0 or length >= ADDRESS_TEXT:
        return False
    memcpy(copy, text, length)
    copy[length] = 0
    if memchr(copy, c':', length) != NULL:
        return inet_pton(AF_INET6, copy, address) == 1
    memset(address, 0, 10)
    memset(address + 10, 0xff, 2)
    return inet_pton(AF_INET, copy, address + 12) == 1
