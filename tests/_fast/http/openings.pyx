"""What a connection may begin with, as plain Python functions; built in place only.

Each input lies in memory of exactly its size, so that AddressSanitizer sees a byte too many.
"""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.client_hello cimport (
    HELLO_DONE, HELLO_MORE, ClientHello, client_hello_offers, client_hello_read,
)
from tulle._fast.http.detection cimport (
    DETECTED_HTTP1, DETECTED_HTTP2, DETECTED_MORE, DETECTED_ROOM, DETECTED_TLS, detect, detect_offer, detected_pack,
    detected_word,
)
from tulle._fast.http.proxy_header cimport (
    PROXY_HEADER_BAD, PROXY_HEADER_DONE, PROXY_HEADER_MORE, PROXY_HEADER_ROOM, ProxyHeader, proxy_header_read,
    proxy_header_write,
)


cdef char *exact(bytes data) except NULL:
    cdef char *copy = <char *>malloc(max(len(data), 1))
    if copy == NULL:
        raise MemoryError
    memcpy(copy, <const char *>data, len(data))
    return copy


def client_hello(bytes data, bytes protocol=b"h2"):
    """"more", "other", or the server's name, the list of protocols as it came, and whether that one is offered."""
    cdef ClientHello hello
    cdef char *copy = exact(data)
    cdef int result
    try:
        result = client_hello_read(copy, <uint32_t>len(data), &hello)
        if result != HELLO_DONE:
            return "more" if result == HELLO_MORE else "other"
        return (
            copy[hello.name:hello.name + hello.name_length],
            copy[hello.alpn:hello.alpn + hello.alpn_length],
            client_hello_offers(copy, &hello, protocol, <unsigned char>len(protocol)),
        )
    finally:
        free(copy)


def proxy_header(bytes data):
    """"more", "none", "bad", or (length, family, source, source port, destination, destination port)."""
    cdef ProxyHeader header
    cdef char *copy = exact(data)
    cdef int result
    try:
        result = proxy_header_read(copy, <uint32_t>len(data), &header)
    finally:
        free(copy)
    if result == PROXY_HEADER_MORE:
        return "more"
    if result != PROXY_HEADER_DONE:
        return "bad" if result == PROXY_HEADER_BAD else "none"
    width = {4: 4, 6: 16}.get(header.family, 0)
    return (
        header.length, header.family, bytes(header.source[:width]), header.source_port,
        bytes(header.destination[:width]), header.destination_port,
    )


def write_proxy_header(int version, int family, bytes source, int source_port, bytes destination, int port):
    cdef ProxyHeader header
    cdef char *out = <char *>malloc(PROXY_HEADER_ROOM)
    header.family = family
    memcpy(header.source, <const char *>source, len(source))
    memcpy(header.destination, <const char *>destination, len(destination))
    header.source_port = source_port
    header.destination_port = port
    try:
        return out[:proxy_header_write(out, &header, version)]
    finally:
        free(out)


def detection(bytes data):
    """"more", or the word for what these first bytes tell."""
    cdef char word[DETECTED_ROOM]
    cdef char *copy = exact(data)
    cdef int found
    try:
        found = detect(copy, <uint32_t>len(data))
    finally:
        free(copy)
    if found == DETECTED_MORE:
        return "more"
    return word[:detected_word(detected_pack(found, 0, 0), word)].decode()


def offer(bytes data):
    """The word for a ClientHello that is passed on."""
    cdef char word[DETECTED_ROOM]
    cdef ClientHello hello
    cdef char *copy = exact(data)
    try:
        assert client_hello_read(copy, <uint32_t>len(data), &hello) == HELLO_DONE
        return word[:detected_word(detected_pack(DETECTED_TLS, 0, detect_offer(copy, &hello)), word)].decode()
    finally:
        free(copy)


def words():
    """Those of what is found within TLS."""
    cdef char word[DETECTED_ROOM]
    return [
        word[:detected_word(detected_pack(DETECTED_TLS, found, 0), word)].decode()
        for found in (DETECTED_HTTP1, DETECTED_HTTP2)
    ]
