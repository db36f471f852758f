"""What the algorithm of a cluster is told, from its row of a routing table. With the GIL, in the compiling process."""
from tulle._fast.policy.image cimport ClusterEntry
from tulle._fast.policy.image_buffer cimport ImageBuffer

cdef int write_balancing(ImageBuffer out, ClusterEntry *entry, row) except -1
