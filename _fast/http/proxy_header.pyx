"""See `proxy_header.pxd`. The specification is HAProxy's proxy-protocol.txt, sections 2.1 and 2.2."""
from libc.stdio cimport snprintf
from libc.string cimport memchr, memcmp, memcpy, memset

from tulle._fast.base.types cimport unlikely

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char *text, void *address) noexcept
    const char *inet_ntop(int family, const void *address, char *text, uint32_t size) noexcept
    int AF_INET, AF_INET6

cdef enum:
    LINE_MAX = 107                     # bytes of version 1, with CR LF
    HEAD = 16                          # bytes of version 2 before the addresses
    SIGNATURE = 12
    COMMAND_LOCAL = 0x20
    COMMAND_PROXY = 0x21
    TCP_OVER_IPV4 = 0x11
    TCP_OVER_IPV6 = 0x21


cdef inline const char *signature() noexcept nogil:
    return b"\r\n\r\n\x00\r\nQUIT\n"


# -- version 1: a line of text ----------------------------------------------------------------------------------------

cdef int take_port(const char *text, uint32_t length) noexcept nogil:
    """Decimal, without a leading zero; -1 when it is none."""
    cdef int port = 0
    cdef uint32_t index
    if length == 0 or length > 5 or (text[0] == c'0' and length > 1):
        return -1
    for index in range(length):
        if not c'0' <= text[index] <= c'9':
            return -1
        port = port * 10 + text[index] - c'0'
    return port if port <= 65535 else -1


cdef bint take_address(const char *text, uint32_t length, int family, uint8_t *address) noexcept nogil:
    cdef char copy[48]
    if length == 0 or length >= sizeof(copy):
        return False
    memcpy(copy, text, length)
    copy[length] = 0
    return inet_pton(family, copy, address) == 1


cdef int read_words(const char *line, uint32_t length, ProxyHeader *header) noexcept nogil:
    """`line` is what follows "PROXY ", without CR LF."""
    cdef const char *words[5]
    cdef uint32_t lengths[5]
    cdef uint32_t count = 0
    cdef uint32_t start = 0
    cdef uint32_t index
    cdef int family, source_port, destination_port
    if length >= 7 and memcmp(line, b"UNKNOWN", 7) == 0 and (length == 7 or line[7] == c' '):
        return PROXY_HEADER_DONE
    for index in range(length + 1):
        if index < length and line[index] != c' ':
            continue
        if count == 5:
            return PROXY_HEADER_BAD
        words[count] = line + start
        lengths[count] = index - start
        count += 1
        start = index + 1
    if count != 5 or lengths[0] != 4 or memcmp(words[0], b"TCP", 3) != 0:
        return PROXY_HEADER_BAD
    if words[0][3] == c'4':
        family = AF_INET
    elif words[0][3] == c'6':
        family = AF_INET6
    else:
        return PROXY_HEADER_BAD
    source_port = take_port(words[3], lengths[3])
    destination_port = take_port(words[4], lengths[4])
    if (
        source_port < 0 or destination_port < 0
        or not take_address(words[1], lengths[1], family, header.source)
        or not take_address(words[2], lengths[2], family, header.destination)
    ):
        return PROXY_HEADER_BAD
    header.family = 4 if family == AF_INET else 6
    header.source_port = <uint16_t>source_port
    header.destination_port = <uint16_t>destination_port
    return PROXY_HEADER_DONE


cdef int read_line(const char *data, uint32_t length, ProxyHeader *header) noexcept nogil:
    cdef const char *end
    cdef uint32_t seen = length if length < LINE_MAX else <uint32_t>LINE_MAX
    end = <const char *>memchr(data, c'\n', seen)
    if end == NULL:
        return PROXY_HEADER_MORE if length < LINE_MAX else PROXY_HEADER_BAD
    if end - data < 8 or (end - 1)[0] != c'\r':
        return PROXY_HEADER_BAD
    header.length = <uint32_t>(end - data) + 1
    return read_words(data + 6, <uint32_t>(end - data) - 7, header)


# -- version 2: binary ------------------------------------------------------------------------------------------------

cdef int read_binary(const uint8_t *data, uint32_t length, ProxyHeader *header) noexcept nogil:
    cdef uint32_t size, width
    cdef const uint8_t *ports
    if length < HEAD:
        return PROXY_HEADER_MORE
    size = <uint32_t>data[14] << 8 | data[15]
    if data[12] != COMMAND_LOCAL and data[12] != COMMAND_PROXY or size > PROXY_HEADER_MAX - HEAD:
        return PROXY_HEADER_BAD
    width = 4 if data[13] == TCP_OVER_IPV4 else 16 if data[13] == TCP_OVER_IPV6 else 0
    if data[12] == COMMAND_LOCAL:
        width = 0
    if size < 2 * width + (4 if width else 0):
        return PROXY_HEADER_BAD
    if length < HEAD + size:
        return PROXY_HEADER_MORE
    header.length = HEAD + size
    if width == 0:
        return PROXY_HEADER_DONE
    memcpy(header.source, data + HEAD, width)
    memcpy(header.destination, data + HEAD + width, width)
    ports = data + HEAD + 2 * width
    header.source_port = <uint16_t>(ports[0] << 8 | ports[1])
    header.destination_port = <uint16_t>(ports[2] << 8 | ports[3])
    header.family = 4 if width == 4 else 6
    return PROXY_HEADER_DONE


# -- both -------------------------------------------------------------------------------------------------------------

cdef int proxy_header_read(const char *data, uint32_t length, ProxyHeader *header) noexcept nogil:
    cdef uint32_t shared = length if length < SIGNATURE else <uint32_t>SIGNATURE
    memset(header, 0, sizeof(ProxyHeader))
    if length == 0:
        return PROXY_HEADER_MORE
    if memcmp(data, signature(), shared) == 0:
        return read_binary(<const uint8_t *>data, length, header) if length >= SIGNATURE else PROXY_HEADER_MORE
    shared = length if length < 6 else 6
    if memcmp(data, b"PROXY ", shared) == 0:
        return read_line(data, length, header) if length >= 6 else PROXY_HEADER_MORE
    return PROXY_HEADER_NONE


cdef uint32_t write_binary(char *out, const ProxyHeader *header) noexcept nogil:
    cdef uint8_t *bytes_out = <uint8_t *>out
    cdef uint32_t width = 4 if header.family == 4 else 16 if header.family == 6 else 0
    cdef uint32_t size = 2 * width + (4 if width else 0)
    cdef uint8_t *ports = bytes_out + HEAD + 2 * width
    memcpy(out, signature(), SIGNATURE)
    bytes_out[12] = COMMAND_PROXY if width else COMMAND_LOCAL
    bytes_out[13] = TCP_OVER_IPV4 if width == 4 else TCP_OVER_IPV6 if width else 0
    bytes_out[14] = 0
    bytes_out[15] = <uint8_t>size
    if width:
        memcpy(bytes_out + HEAD, header.source, width)
        memcpy(bytes_out + HEAD + width, header.destination, width)
        ports[0] = <uint8_t>(header.source_port >> 8)
        ports[1] = <uint8_t>(header.source_port & 255)
        ports[2] = <uint8_t>(header.destination_port >> 8)
        ports[3] = <uint8_t>(header.destination_port & 255)
    return HEAD + size


cdef uint32_t proxy_header_write(char *out, const ProxyHeader *header, int version) noexcept nogil:
    cdef char source[48]
    cdef char destination[48]
    cdef int family = AF_INET if header.family == 4 else AF_INET6
    if version == 2:
        return write_binary(out, header)
    if unlikely(header.family == 0):
        memcpy(out, b"PROXY UNKNOWN\r\n", 15)
        return 15
    inet_ntop(family, header.source, source, sizeof(source))
    inet_ntop(family, header.destination, destination, sizeof(destination))
    return <uint32_t>snprintf(
        out, PROXY_HEADER_ROOM, b"PROXY TCP%d %s %s %d %d\r\n", <int>header.family, source, destination,
        <int>header.source_port, <int>header.destination_port,
    )
