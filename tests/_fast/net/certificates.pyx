"""The DER reader for tests: each call copies its input flush against a page that nobody may read."""
from libc.string cimport memcpy

from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.net.certificate cimport (
    FORWARDED_MOST, NAME_DNS, NAME_URI, PRINCIPAL_FOUND, PRINCIPAL_MOST, PRINCIPAL_NONE, Certificate, DerSpan,
    certificate_forwarded, certificate_has_name, certificate_next_name, certificate_open, certificate_principal,
    certificate_subject, dns_name_matches,
)

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int mprotect(void *address, size_t length, int protection) noexcept
    int PROT_READ, PROT_WRITE, PROT_NONE, MAP_PRIVATE, MAP_ANONYMOUS

cdef enum:
    PAGE = 4096


def read(bytes der):
    """(names, subject, principal) of a certificate; None when it is none. A principal False is an ambiguous one."""
    cdef size_t size = (<size_t>len(der) + PAGE) // PAGE * PAGE
    cdef char *block = <char *>mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    mprotect(block + size, PAGE, PROT_NONE)
    try:
        memcpy(block + size - len(der), <const char *>der, len(der))
        return names_of(<const uint8_t *>block + size - len(der), <uint32_t>len(der))
    finally:
        munmap(block, size + PAGE)


cdef object names_of(const uint8_t *der, uint32_t length):
    cdef Certificate certificate
    cdef DerSpan rest, name
    cdef uint8_t kind = 0
    cdef char text[PRINCIPAL_MOST]
    cdef uint32_t text_length = 0
    cdef int result
    if not certificate_open(&certificate, der, length):
        return None
    names = []
    rest = certificate.names
    while certificate_next_name(&rest, &kind, &name):
        names.append((kind, name.data[:name.length]))
    subject = text[:certificate_subject(&certificate, text, PRINCIPAL_MOST)]
    result = certificate_principal(&certificate, text, &text_length)
    if result == PRINCIPAL_FOUND:
        return names, subject, text[:text_length]
    return names, subject, None if result == PRINCIPAL_NONE else False


def forwarded(bytes der, uint32_t parts):
    """What x-forwarded-client-cert says of a certificate whose hash is ab."""
    cdef Certificate certificate
    cdef char text[FORWARDED_MOST]
    if not certificate_open(&certificate, <const uint8_t *><const char *>der, <uint32_t>len(der)):
        return None
    return text[:certificate_forwarded(&certificate, <const uint8_t *>b"\xab", 1, parts, text)]


def has_name(bytes der, str kind, bytes name):
    """Whether it has this alternative name; `kind` is dns or uri."""
    cdef Certificate certificate
    if not certificate_open(&certificate, <const uint8_t *><const char *>der, <uint32_t>len(der)):
        return False
    return certificate_has_name(
        &certificate, NAME_DNS if kind == "dns" else NAME_URI, <const char *>name, <uint32_t>len(name)
    )


def matches(bytes pattern, bytes name):
    return dns_name_matches(<const char *>pattern, <uint32_t>len(pattern), <const char *>name, <uint32_t>len(name))
