"""See `predicate_writer.pxd`. What is alike is written once."""
from libc.string cimport memcpy

from tulle._fast.policy.image cimport (
    PREDICATE_EXACT, PREDICATE_PRESENT, PREDICATE_REGEX, DfaEntry, PredicateEntry,
)

_PREDICATES = {"present": PREDICATE_PRESENT, "exact": PREDICATE_EXACT, "regex": PREDICATE_REGEX}


cdef class PredicateWriter:

    def __init__(self, ImageBuffer out, automaton):
        self.out = out
        self.automaton = automaton
        self.automata = {}
        self.spans = {}

    cdef Span write(self, tuple rows) except *:
        cdef Span span
        cdef PredicateEntry entry
        cdef Py_ssize_t index
        if not rows:
            return Span(0, 0)
        known = self.spans.get(rows)
        if known is not None:
            return Span(known[0], known[1])
        span.count = <uint32_t>len(rows)
        span.offset = self.out.reserve(sizeof(PredicateEntry), span.count)
        for index, row in enumerate(rows):
            entry.name = self.out.text(row.name)
            entry.value = self.out.text(row.value)
            entry.kind = _PREDICATES[row.kind]
            entry.dfa = self.write_automaton(row.value) if entry.kind == PREDICATE_REGEX else 0
            (<PredicateEntry *>(self.out.data + span.offset))[index] = entry
        self.spans[rows] = (span.offset, span.count)
        return span

    cdef uint32_t write_automaton(self, str pattern) except? 0:
        cdef DfaEntry entry
        cdef bytes byte_class, transitions, accepting
        cdef uint32_t offset
        known = self.automata.get(pattern)
        if known is not None:
            return known
        dfa = self.automaton(pattern)
        byte_class, transitions, accepting = dfa.byte_class, dfa.transitions, dfa.accepting
        entry.states = dfa.states
        entry.classes = dfa.classes
        if (
            len(byte_class) != 256 or len(transitions) != 2 * entry.states * entry.classes
            or len(accepting) != (entry.states + 7) // 8
        ):
            raise ValueError(f"the automaton of {pattern!r} is malformed")
        memcpy(entry.byte_class, <const char *>byte_class, 256)
        entry.transitions = self.out.raw(transitions, len(transitions))
        entry.accepting = self.out.raw(accepting, len(accepting))
        offset = self.out.raw(<const char *>&entry, sizeof(DfaEntry))
        self.automata[pattern] = offset
        return offset
