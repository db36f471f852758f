"""See `authority.pxd` for the contract."""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.octet cimport OCTET_DIGIT, OCTET_HEX, OCTET_HOST, octet_is


cdef const uint8_t *authority_name(const uint8_t *position, const uint8_t *end) noexcept nogil:
    """Over a reg-name, of which an IPv4 address is one; NULL when a percent escape is broken."""
    while True:
        while position < end and octet_is(position[0], OCTET_HOST):
            position += 1
        if position == end or position[0] != c'%':
            return position
        if end - position < 3 or not octet_is(position[1], OCTET_HEX) or not octet_is(position[2], OCTET_HEX):
            return NULL
        position += 3


cdef bint authority_ipv4(const uint8_t *position, const uint8_t *end) noexcept nogil:
    """Four decimal octets without leading zeros, to the end: the tail of an IPv6 address."""
    cdef int octets = 0
    cdef uint32_t number
    cdef const uint8_t *digits
    while True:
        digits = position
        number = 0
        while position < end and position - digits < 3 and octet_is(position[0], OCTET_DIGIT):
            number = number * 10 + position[0] - c'0'
            position += 1
        if position == digits or number > 255 or (digits[0] == c'0' and position - digits > 1):
            return False
        octets += 1
        if position == end:
            return octets == 4
        if position[0] != c'.':
            return False
        position += 1


cdef bint authority_ipv6(const uint8_t *position, const uint8_t *end) noexcept nogil:
    """Eight groups, or fewer with one "::", the last two possibly an IPv4 address (RFC 3986 section 3.2.2)."""
    cdef int groups = 0
    cdef bint elided = False
    cdef const uint8_t *digits
    if end - position >= 2 and position[0] == c':':
        if position[1] != c':':
            return False
        elided = True
        position += 2
    while position < end:
        digits = position
        while position < end and position - digits < 4 and octet_is(position[0], OCTET_HEX):
            position += 1
        if position < end and position[0] == c'.':
            groups += 2
            return authority_ipv4(digits, end) and (groups <= 7 if elided else groups == 8)
        if position == digits:
            return False
        groups += 1
        if position == end:
            break
        if position[0] != c':':
            return False
        position += 1
        if position < end and position[0] == c':':
            if elided:
                return False
            elided = True
            position += 1
        elif position == end:
            return False
    return groups <= 7 if elided else groups == 8


cdef bint authority_port(const uint8_t *position, const uint8_t *end) noexcept nogil:
    cdef uint32_t port = 0
    if position == end or end - position > 5:
        return False
    while position < end:
        if not octet_is(position[0], OCTET_DIGIT):
            return False
        port = port * 10 + position[0] - c'0'
        position += 1
    return port <= 65535


cdef bint authority_valid(const char *text, uint32_t length, bint port_required) noexcept nogil:
    cdef const uint8_t *position = <const uint8_t *>text
    cdef const uint8_t *end = position + length
    cdef const uint8_t *host
    if length == 0:
        return False
    if position[0] == c'[':
        position += 1
        host = position
        while position < end and position[0] != c']':
            position += 1
        if position == end or not authority_ipv6(host, position):
            return False
        position += 1
    else:
        position = authority_name(position, end)
        if position == NULL or position == <const uint8_t *>text:
            return False
    if position == end:
        return not port_required
    return position[0] == c':' and authority_port(position + 1, end)
