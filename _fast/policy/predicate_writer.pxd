"""Predicates on names and values, and the automata of their patterns. In the compiling process only."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.image cimport Span
from tulle._fast.policy.image_buffer cimport ImageBuffer

cdef class PredicateWriter:
    cdef ImageBuffer out
    cdef object automaton              # makes a `Dfa` of a pattern, see `write_routes`
    cdef dict automata                 # pattern to offset of its DfaEntry
    cdef dict spans                    # rows that are alike and written already, to their Span
    cdef Span write(self, tuple rows) except *
    cdef uint32_t write_automaton(self, str pattern) except? 0
