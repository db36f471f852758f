"""The network that a client's address is of: what rate limits count clients by.

A provider gives its customer a whole IPv6 network, mostly a /64 or a larger one (RFC 6177), from which the customer may
take a new address for every request: so whole addresses would be no limit at all. An IPv4 address within IPv6
(`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) is IPv4.

Pure. Called by `flow/rate_limit`.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t

cdef enum:
    CLIENT_PREFIX_BYTES = 16

# The first so many bits of the address that this text is, with or without brackets and zone, in `prefix`: how many
# bytes, 4 or 16, the others bits 0; 0 when it is no address
cdef uint32_t client_prefix(
    const char *text, uint32_t length, uint32_t ipv4_bits, uint32_t ipv6_bits, uint8_t *prefix
) noexcept nogil
