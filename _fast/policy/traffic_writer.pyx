"""See `traffic_writer.pxd`."""
import hashlib

from libc.string cimport memset

from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.cors cimport CorsEntry, OriginEntry
from tulle._fast.policy.fault cimport FaultEntry
from tulle._fast.policy.image_buffer cimport subset_key
from tulle._fast.policy.mirror cimport MirrorEntry
from tulle._fast.policy.rate_limit cimport RATE_KEY_ALL, RATE_KEY_CLIENT, RATE_KEY_HEADER, RateRule

_SECOND = 1_000_000_000
_RATE_KEYS = {"all": RATE_KEY_ALL, "client_address": RATE_KEY_CLIENT, "header": RATE_KEY_HEADER}


cdef Span write_rates(ImageBuffer out, tuple rows, str owner) except *:
    cdef Span span
    cdef RateRule rule
    cdef Py_ssize_t index
    if not rows:
        return Span(0, 0)
    memset(&rule, 0, sizeof(RateRule))
    span.count = <uint32_t>len(rows)
    span.offset = out.reserve(sizeof(RateRule), span.count)
    for index, row in enumerate(rows):
        rule.identity = identity(owner, row)
        # Rounded up: never more than was allowed
        rule.interval = -(-row.per // row.requests)
        rule.tolerance = (row.burst - 1) * rule.interval
        rule.key = _RATE_KEYS[row.key]
        rule.always = row.always
        rule.ipv4_bits = row.ipv4_bits
        rule.ipv6_bits = row.ipv6_bits
        rule.header = out.text(row.header)
        rule.name = out.text(row.name)
        rule.policy = out.text(policy_text(row))
        (<RateRule *>(out.data + span.offset))[index] = rule
    return span


def identity(owner, row):
    """A number of 64 bits for this rule of this owner: who asks the same after a reload finds the same buckets."""
    text = f"{owner} {row.requests} {row.per} {row.burst} {row.key} {row.header} {row.ipv4_bits} {row.ipv6_bits}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def policy_text(row):
    """An item of the RateLimit-Policy field (draft-ietf-httpapi-ratelimit-headers-11); its window is whole seconds."""
    window = f";w={row.per // _SECOND}" if row.per % _SECOND == 0 else ""
    return f'"{row.name}";q={row.requests}{window}'


cdef uint32_t write_fault(ImageBuffer out, PredicateWriter predicates, row) except? 0:
    cdef FaultEntry entry
    memset(&entry, 0, sizeof(FaultEntry))
    entry.delay = row.delay
    entry.delay_share = row.delay_share
    entry.delay_headers = predicates.write(row.delay_headers)
    entry.abort_status = row.abort_status
    entry.abort_share = row.abort_share
    entry.abort_headers = predicates.write(row.abort_headers)
    return out.raw(<const char *>&entry, sizeof(FaultEntry))


cdef uint32_t write_cors(ImageBuffer out, row) except? 0:
    cdef CorsEntry entry
    cdef OriginEntry origin
    cdef Py_ssize_t index
    memset(&entry, 0, sizeof(CorsEntry))
    entry.any_origin = row.origins == ("*",)
    entry.origins.count = <uint32_t>len(row.origins)
    entry.origins.offset = out.reserve(sizeof(OriginEntry), entry.origins.count)
    for index, text in enumerate(row.origins):
        head, _, tail = text.partition("*")
        origin.head = out.text(head)
        origin.tail = out.text(tail)
        (<OriginEntry *>(out.data + entry.origins.offset))[index] = origin
    entry.credentials = row.credentials
    entry.methods = out.text(", ".join(row.methods))
    entry.headers = out.text(", ".join(row.headers))
    entry.exposed = out.text(", ".join(row.exposed))
    entry.max_age = out.text(str(row.max_age // _SECOND))
    return out.raw(<const char *>&entry, sizeof(CorsEntry))


cdef Span write_mirrors(ImageBuffer out, tuple rows, tuple clusters) except *:
    cdef Span span
    cdef MirrorEntry entry
    cdef Py_ssize_t index
    if not rows:
        return Span(0, 0)
    memset(&entry, 0, sizeof(MirrorEntry))
    span.count = <uint32_t>len(rows)
    span.offset = out.reserve(sizeof(MirrorEntry), span.count)
    for index, row in enumerate(rows):
        entry.goal.cluster = row.cluster
        entry.goal.subset = row.subset
        entry.goal.subset_key = subset_key(clusters[row.cluster].subsets[row.subset - 1]) if row.subset else 0
        entry.share = row.share
        entry.suffix = row.suffix
        (<MirrorEntry *>(out.data + span.offset))[index] = entry
    return span
