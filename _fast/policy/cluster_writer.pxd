"""The clusters of the routes segment, from the rows of a routing table. With the GIL, in the compiling process only."""
from tulle._fast.policy.image cimport Span
from tulle._fast.policy.image_buffer cimport ImageBuffer

# ClusterEntry[]; `slots` are pairs (slot, generation) in the order of `rows`
cdef Span write_clusters(ImageBuffer out, rows, list slots) except *
