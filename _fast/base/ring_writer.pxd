"""The writing end of a lane's log ring: whole lines or none, and a wake-up for a logger that sleeps.

`ring_head` counts bytes ever written, `ring_tail` bytes ever taken; both only rise, the ring's size is a power of two.
"""
from tulle._fast.base.shared cimport Lane, SharedHeader
from tulle._fast.base.types cimport uint32_t

# False when the ring is full: the line is dropped and counted
cdef bint ring_append(SharedHeader *shared, Lane *lane, const char *line, uint32_t length, int wake_fd) noexcept nogil
