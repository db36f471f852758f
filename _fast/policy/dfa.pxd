"""A deterministic automaton over bytes, run from the tables of a `DfaEntry`: one lookup a byte, linear time.

A text may be fed in pieces. State 0 is dead (nothing can match any more), state 1 is the start.
"""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t
from tulle._fast.policy.image cimport DfaEntry, image_at

cdef enum:
    DFA_DEAD = 0
    DFA_START = 1

cdef inline uint32_t dfa_run(
    const void *image, const DfaEntry *dfa, uint32_t state, const char *bytes, uint32_t length
) noexcept nogil:
    """The state after these bytes."""
    cdef const uint16_t *transitions = <const uint16_t *>image_at(image, dfa.transitions)
    cdef uint32_t index
    for index in range(length):
        state = transitions[state * dfa.classes + dfa.byte_class[<uint8_t>bytes[index]]]
        if state == DFA_DEAD:
            break
    return state

cdef inline bint dfa_accepts(const void *image, const DfaEntry *dfa, uint32_t state) noexcept nogil:
    cdef const uint8_t *accepting = <const uint8_t *>image_at(image, dfa.accepting)
    return accepting[state >> 3] >> (state & 7) & 1
