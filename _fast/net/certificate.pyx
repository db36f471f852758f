"""See `certificate.pxd`."""
from libc.string cimport memchr, memcmp, memcpy

cdef enum DerTag:
    DER_BOOLEAN = 0x01
    DER_OCTET_STRING = 0x04
    DER_OID = 0x06
    DER_SEQUENCE = 0x30
    DER_SET = 0x31
    DER_VERSION = 0xA0                 # [0] EXPLICIT of TBSCertificate
    DER_EXTENSIONS = 0xA3              # [3] EXPLICIT

cdef enum:
    MOST_ATTRIBUTES = 32               # of a subject

cdef struct Attribute:                 # of a subject
    const char *name                   # with its equals sign
    DerSpan value


# -- DER --------------------------------------------------------------------------------------------------------------

cdef bint der_next(DerSpan *rest, uint8_t *tag, DerSpan *content) noexcept nogil:
    """Take one element off. False at the end, or where the bytes make no sense."""
    cdef uint32_t length, octets, index
    cdef uint32_t header = 2
    if rest.length < 2 or rest.data[0] & 0x1F == 0x1F:
        return False
    tag[0] = rest.data[0]
    length = rest.data[1]
    if length >= 0x80:
        octets = length & 0x7F
        if octets == 0 or octets > 3 or rest.length < 2 + octets:
            return False
        length = 0
        for index in range(octets):
            length = length << 8 | rest.data[2 + index]
        header += octets
    if length > rest.length - header:
        return False
    content.data = rest.data + header
    content.length = length
    rest.data += header + length
    rest.length -= header + length
    return True


cdef bint der_enter(DerSpan *rest, uint8_t wanted, DerSpan *content) noexcept nogil:
    cdef uint8_t tag = 0
    return der_next(rest, &tag, content) and tag == wanted


cdef bint der_skip(DerSpan *rest, uint32_t count) noexcept nogil:
    cdef uint8_t tag = 0
    cdef DerSpan content
    cdef uint32_t _index
    for _index in range(count):
        if not der_next(rest, &tag, &content):
            return False
    return True


cdef bint der_is(const DerSpan *span, const char *bytes, uint32_t length) noexcept nogil:
    return span.length == length and memcmp(span.data, bytes, length) == 0


# -- the structure ----------------------------------------------------------------------------------------------------

cdef bint read_names(DerSpan extensions, DerSpan *names) noexcept nogil:
    """Find subjectAltName, 2.5.29.17. False when it is malformed, or there twice (RFC 5280 section 4.2)."""
    cdef DerSpan extension, identity, value
    cdef uint8_t tag = 0
    while extensions.length > 0:
        if not der_enter(&extensions, DER_SEQUENCE, &extension):
            return False
        if not der_enter(&extension, DER_OID, &identity) or not der_next(&extension, &tag, &value):
            return False
        if tag == DER_BOOLEAN and not der_next(&extension, &tag, &value):
            return False
        if tag != DER_OCTET_STRING:
            return False
        if der_is(&identity, b"\x55\x1d\x11", 3):
            if names.data != NULL or not der_enter(&value, DER_SEQUENCE, names):
                return False
    return True


cdef bint certificate_open(Certificate *certificate, const uint8_t *der, uint32_t length) noexcept nogil:
    cdef DerSpan rest, body, tbs, content, extensions
    cdef uint8_t tag = 0
    certificate.names.data = NULL
    certificate.names.length = 0
    certificate.subject.length = 0
    rest.data = der
    rest.length = length
    if not der_enter(&rest, DER_SEQUENCE, &body) or not der_enter(&body, DER_SEQUENCE, &tbs):
        return False
    if tbs.length > 0 and tbs.data[0] == DER_VERSION and not der_skip(&tbs, 1):
        return False
    # serialNumber, signature, issuer, validity
    if not der_skip(&tbs, 4) or not der_enter(&tbs, DER_SEQUENCE, &certificate.subject) or not der_skip(&tbs, 1):
        return False
    while tbs.length > 0:
        if not der_next(&tbs, &tag, &content):
            return False
        if tag == DER_EXTENSIONS:
            return der_enter(&content, DER_SEQUENCE, &extensions) and read_names(extensions, &certificate.names)
    return True


cdef bint certificate_next_name(DerSpan *rest, uint8_t *kind, DerSpan *name) noexcept nogil:
    return der_next(rest, kind, name)


# -- names ------------------------------------------------------------------------------------------------------------

cdef inline uint8_t lower(uint8_t octet) noexcept nogil:
    return octet | 0x20 if c"A" <= octet <= c"Z" else octet


cdef bint same_without_case(const char *left, const char *right, uint32_t length) noexcept nogil:
    cdef uint32_t index
    for index in range(length):
        if lower(<uint8_t>left[index]) != lower(<uint8_t>right[index]):
            return False
    return True


cdef bint dns_name_matches(const char *pattern, uint32_t length, const char *name, uint32_t name_length) noexcept nogil:
    """The wildcard is a whole label, the first, and stands for one (RFC 6125 section 6.4.3)."""
    cdef const char *dot
    if length > 2 and pattern[0] == c"*" and pattern[1] == c".":
        dot = <const char *>memchr(name, c".", name_length)
        if dot == NULL or dot == name:
            return False
        name_length -= <uint32_t>(dot - name)
        name = dot
        pattern += 1
        length -= 1
        # "*.com" stands for nothing: there must be two labels behind the wildcard
        if memchr(pattern + 1, c".", length - 1) == NULL:
            return False
    return length == name_length and length > 0 and same_without_case(pattern, name, length)


cdef bint certificate_has_name(
    const Certificate *certificate, uint8_t kind, const char *text, uint32_t length
) noexcept nogil:
    cdef DerSpan rest = certificate.names
    cdef DerSpan name
    cdef uint8_t found = 0
    cdef int _index
    for _index in range(CERTIFICATE_MOST_NAMES):
        if not certificate_next_name(&rest, &found, &name):
            return False
        if found != kind:
            continue
        if kind == NAME_DNS:
            if dns_name_matches(<const char *>name.data, name.length, text, length):
                return True
        elif der_is(&name, text, length):
            return True
    return False


# -- who it is --------------------------------------------------------------------------------------------------------

cdef bint is_visible(const DerSpan *span) noexcept nogil:
    """Of printable ASCII without spaces: what may stand in a log or a header field as it is."""
    cdef uint32_t index
    for index in range(span.length):
        if span.data[index] <= 0x20 or span.data[index] >= 0x7F:
            return False
    return span.length > 0


cdef inline bint is_segment_byte(uint8_t octet, bint upper) noexcept nogil:
    return (
        c"a" <= octet <= c"z" or c"0" <= octet <= c"9" or octet == c"." or octet == c"-" or octet == c"_"
        or (upper and c"A" <= octet <= c"Z")
    )


cdef bint is_spiffe(const DerSpan *span) noexcept nogil:
    return span.length >= 9 and same_without_case(<const char *>span.data, b"spiffe://", 9)


cdef bint spiffe_is_valid(const DerSpan *span) noexcept nogil:
    """SPIFFE-ID sections 2.1 to 2.3: a trust domain in lower case, then segments that are neither empty nor dots."""
    cdef uint32_t index = 9
    cdef uint32_t begin = 9
    cdef uint32_t length
    cdef bint upper = False
    if span.length > PRINCIPAL_MOST or memcmp(span.data, b"spiffe://", 9) != 0:
        return False
    while True:
        if index == span.length or span.data[index] == c"/":
            length = index - begin
            if length == 0:
                return False
            if upper and span.data[begin] == c"." and (length == 1 or (length == 2 and span.data[begin + 1] == c".")):
                return False
            if index == span.length:
                return True
            upper = True
            begin = index + 1
        elif not is_segment_byte(span.data[index], upper):
            return False
        index += 1


cdef const char *attribute_name(const DerSpan *identity) noexcept nogil:
    """Of the attributes of RFC 5280 appendix A.1 that people write."""
    if identity.length != 3 or identity.data[0] != 0x55 or identity.data[1] != 0x04:
        return NULL
    if identity.data[2] == 3:
        return b"CN="
    if identity.data[2] == 6:
        return b"C="
    if identity.data[2] == 7:
        return b"L="
    if identity.data[2] == 8:
        return b"ST="
    if identity.data[2] == 10:
        return b"O="
    if identity.data[2] == 11:
        return b"OU="
    return NULL


cdef bint text_add(char *out, uint32_t *used, uint32_t size, const char *text, uint32_t length) noexcept nogil:
    if length > size - used[0]:
        return False
    memcpy(out + used[0], text, length)
    used[0] += length
    return True


cdef bint is_plain(const DerSpan *span) noexcept nogil:
    """Printable, and without what would let one subject be written like another."""
    cdef uint32_t index
    cdef uint8_t octet
    for index in range(span.length):
        octet = span.data[index]
        if octet < 0x20 or octet >= 0x7F or octet == c"," or octet == c"=" or octet == c"+" or octet == c'"':
            return False
        if octet == c"\\" or octet == c";":
            return False
    return span.length > 0


cdef uint32_t read_subject(const Certificate *certificate, Attribute *out) noexcept nogil:
    """Its attributes, MOST_ATTRIBUTES at most; 0 when one of them is none that could be written."""
    cdef DerSpan rest = certificate.subject
    cdef DerSpan group, pair, identity
    cdef uint32_t count = 0
    cdef uint8_t tag = 0
    while rest.length > 0:
        if count == MOST_ATTRIBUTES or not der_enter(&rest, DER_SET, &group):
            return 0
        if not der_enter(&group, DER_SEQUENCE, &pair) or group.length > 0:
            return 0
        if not der_enter(&pair, DER_OID, &identity) or not der_next(&pair, &tag, &out[count].value):
            return 0
        out[count].name = attribute_name(&identity)
        if out[count].name == NULL or not is_plain(&out[count].value):
            return 0
        count += 1
    return count


cdef bint write_attribute(const Attribute *one, char *out, uint32_t *used, uint32_t size) noexcept nogil:
    return (
        (used[0] == 0 or text_add(out, used, size, b",", 1))
        and text_add(out, used, size, one.name, 3 if one.name[2] == c"=" else 2)
        and text_add(out, used, size, <const char *>one.value.data, one.value.length)
    )


cdef uint32_t certificate_subject(const Certificate *certificate, char *out, uint32_t size) noexcept nogil:
    cdef Attribute attributes[MOST_ATTRIBUTES]
    cdef uint32_t count = read_subject(certificate, attributes)
    cdef uint32_t used = 0
    cdef uint32_t index
    for index in range(count):
        if not write_attribute(&attributes[index], out, &used, size):
            return 0
    return used


cdef int certificate_principal(const Certificate *certificate, char *out, uint32_t *length) noexcept nogil:
    cdef DerSpan rest = certificate.names
    cdef DerSpan name, spiffe, dns
    cdef uint8_t kind = 0
    cdef uint32_t uris = 0
    cdef int _index
    spiffe.data = NULL
    spiffe.length = 0
    dns.data = NULL
    dns.length = 0
    length[0] = 0
    for _index in range(CERTIFICATE_MOST_NAMES):
        if not certificate_next_name(&rest, &kind, &name):
            break
        if kind == NAME_URI:
            uris += 1
            if is_spiffe(&name):
                spiffe = name
        elif kind == NAME_DNS and dns.data == NULL and is_visible(&name) and name.length <= PRINCIPAL_MOST:
            dns = name
    if spiffe.data != NULL:
        if uris > 1 or rest.length > 0 or not spiffe_is_valid(&spiffe):
            return PRINCIPAL_AMBIGUOUS
        dns = spiffe
    if dns.data != NULL:
        memcpy(out, dns.data, dns.length)
        length[0] = dns.length
        return PRINCIPAL_FOUND
    length[0] = certificate_subject(certificate, out, PRINCIPAL_MOST)
    return PRINCIPAL_FOUND if length[0] > 0 else PRINCIPAL_NONE


# -- what is forwarded ------------------------------------------------------------------------------------------------

cdef void forward_subject(const Certificate *certificate, char *out, uint32_t *used) noexcept nogil:
    """The last attribute first (RFC 4514 section 2.1); empty when it cannot be written."""
    cdef Attribute attributes[MOST_ATTRIBUTES]
    cdef uint32_t index = read_subject(certificate, attributes)
    cdef char text[PRINCIPAL_MOST]
    cdef uint32_t length = 0
    while index > 0:
        index -= 1
        if not write_attribute(&attributes[index], text, &length, PRINCIPAL_MOST):
            length = 0
            break
    text_add(out, used, FORWARDED_MOST, b";Subject=\"", 10)
    text_add(out, used, FORWARDED_MOST, text, length)
    text_add(out, used, FORWARDED_MOST, b"\"", 1)


cdef void forward_name(char *out, uint32_t *used, const char *key, const DerSpan *name) noexcept nogil:
    """All of it or nothing."""
    cdef uint32_t before = used[0]
    if not is_visible(name) or not is_plain(name):
        return
    if not text_add(out, used, FORWARDED_MOST, key, 5) or not text_add(
        out, used, FORWARDED_MOST, <const char *>name.data, name.length
    ):
        used[0] = before


cdef void forward_names(
    const Certificate *certificate, uint8_t wanted, const char *key, char *out, uint32_t *used
) noexcept nogil:
    cdef DerSpan rest = certificate.names
    cdef DerSpan name
    cdef uint8_t kind = 0
    cdef int _index
    for _index in range(CERTIFICATE_MOST_NAMES):
        if not certificate_next_name(&rest, &kind, &name):
            return
        if kind == wanted:
            forward_name(out, used, key, &name)


cdef uint32_t certificate_forwarded(
    const Certificate *certificate, const uint8_t *digest, uint32_t digest_length, uint32_t parts, char *out
) noexcept nogil:
    cdef const char *digits = b"0123456789abcdef"
    cdef uint32_t used = 0
    cdef uint32_t index
    text_add(out, &used, FORWARDED_MOST, b"Hash=", 5)
    for index in range(digest_length):
        text_add(out, &used, FORWARDED_MOST, digits + (digest[index] >> 4), 1)
        text_add(out, &used, FORWARDED_MOST, digits + (digest[index] & 15), 1)
    if parts & PART_SUBJECT:
        forward_subject(certificate, out, &used)
    if parts & PART_URI:
        forward_names(certificate, NAME_URI, b";URI=", out, &used)
    if parts & PART_DNS:
        forward_names(certificate, NAME_DNS, b";DNS=", out, &used)
    return used
