"""The claims of a verified token, as the verifier hands them over: what the configuration asks for, and no more.

A row of records, each a header and its text, without padding. A claim that is a list of texts has a record for each.
The verifier is a process of ours; a record that would end behind the row ends it all the same.
"""
from libc.string cimport memcpy
from tulle._fast.base.types cimport uint16_t, uint32_t

cdef enum ClaimKind:
    CLAIM_VALUE = 0                    # `index`: of RoutingTable.claims
    CLAIM_FIELD                        # a header field that is made of a claim; `index`: of RoutingTable.claim_fields

cdef struct ClaimRecord:
    uint16_t kind                      # ClaimKind
    uint16_t index
    uint32_t length
    const char *text

cdef enum:
    CLAIM_HEADER = 8                   # bytes before the text

cdef inline bint claim_next(
    const char *claims, uint32_t length, uint32_t *position, ClaimRecord *record
) noexcept nogil:
    """The record at `*position`, which is then behind it; False at the end."""
    if position[0] + CLAIM_HEADER > length:
        return False
    memcpy(&record.kind, claims + position[0], 2)
    memcpy(&record.index, claims + position[0] + 2, 2)
    memcpy(&record.length, claims + position[0] + 4, 4)
    if record.length > length - position[0] - CLAIM_HEADER:
        return False
    record.text = claims + position[0] + CLAIM_HEADER
    position[0] += CLAIM_HEADER + record.length
    return True
