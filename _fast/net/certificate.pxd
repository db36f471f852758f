"""The names in an X.509 certificate: a reader of DER that looks at what it needs and believes no length.

RFC 5280 sections 4.1 (the structure) and 4.2.1.6 (subjectAltName), RFC 6125 section 6.4 (matching of DNS names), the
SPIFFE X.509-SVID standard (one URI, which is the identity), Envoy's x-forwarded-client-cert. Whether the certificate
may be believed is not asked here: OpenSSL has verified it before. Points into the caller's bytes and owns nothing.
Called by `tls`; fuzzed by tests/fuzz/fuzz_der.py.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t

cdef enum CertificateNameKind:         # tags of GeneralName
    NAME_DNS = 0x82
    NAME_URI = 0x86

cdef enum PrincipalResult:
    PRINCIPAL_FOUND = 0
    PRINCIPAL_NONE = 1                 # nothing in it names anybody
    PRINCIPAL_AMBIGUOUS = -1           # a SPIFFE identity among several URIs, or a malformed one

cdef enum:
    CERTIFICATE_MOST_NAMES = 128       # alternative names that are looked at
    PRINCIPAL_MOST = 2048              # bytes of a principal: what SPIFFE allows
    FORWARDED_MOST = 4096

cdef enum CertificateParts:            # that are forwarded
    PART_SUBJECT = 1
    PART_URI = 2
    PART_DNS = 4

cdef struct DerSpan:
    const uint8_t *data
    uint32_t length

cdef struct Certificate:
    DerSpan subject                    # the content of its Name
    DerSpan names                      # the content of subjectAltName's GeneralNames; length 0: none

# False when these bytes are no certificate
cdef bint certificate_open(Certificate *certificate, const uint8_t *der, uint32_t length) noexcept nogil
# The names one after the other; begin with `rest` = `names`. False: no more
cdef bint certificate_next_name(DerSpan *rest, uint8_t *kind, DerSpan *name) noexcept nogil
# Whether it has this alternative name; a DNS name may be covered by a wildcard
cdef bint certificate_has_name(
    const Certificate *certificate, uint8_t kind, const char *text, uint32_t length
) noexcept nogil
# Who it is, into PRINCIPAL_MOST bytes: its SPIFFE URI, else its first DNS name, else its subject as "CN=x,O=y"
cdef int certificate_principal(const Certificate *certificate, char *out, uint32_t *length) noexcept nogil
# The subject, as in `certificate_principal`; 0 when it has no text or too much
cdef uint32_t certificate_subject(const Certificate *certificate, char *out, uint32_t size) noexcept nogil
# What x-forwarded-client-cert says of it, into FORWARDED_MOST bytes: the hash and these parts; the subject in the order
# of RFC 4514. A name that could be taken for more than itself, or for which there is no room, is left out
cdef uint32_t certificate_forwarded(
    const Certificate *certificate, const uint8_t *digest, uint32_t digest_length, uint32_t parts, char *out
) noexcept nogil
# Whether a host name is one that the pattern of a certificate, perhaps with a wildcard, stands for
cdef bint dns_name_matches(const char *pattern, uint32_t length, const char *name, uint32_t name_length) noexcept nogil
