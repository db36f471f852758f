"""The traffic policies of routes and listeners, from their rows. With the GIL, in the compiling process only."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.image cimport Span
from tulle._fast.policy.image_buffer cimport ImageBuffer
from tulle._fast.policy.predicate_writer cimport PredicateWriter

# MirrorEntry[]; `clusters` are the rows of all
cdef Span write_mirrors(ImageBuffer out, tuple rows, tuple clusters) except *
# CorsEntry
cdef uint32_t write_cors(ImageBuffer out, row) except? 0
# FaultEntry
cdef uint32_t write_fault(ImageBuffer out, PredicateWriter predicates, row) except? 0
# RateRule[]; `owner` tells all owners apart, and is the same for one of the same name after a reload
cdef Span write_rates(ImageBuffer out, tuple rows, str owner) except *
