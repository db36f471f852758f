"""The reader's end of the log rings: whole lines go from a lane's ring to a descriptor, without the GIL.

The lane's worker appends and publishes `ring_head` after a whole line; the one logger takes and publishes `ring_tail`.
What a write does not take stays in the ring, and when that is full the worker drops lines and counts them.
"""
from tulle._fast.base.shared cimport Lane, SharedHeader
from tulle._fast.base.types cimport int64_t

# One write of what is there, of one lane and of each: the bytes taken, or -1 with errno set when nothing could be
cdef int64_t ring_write(SharedHeader *shared, Lane *lane, int fd) noexcept nogil
cdef int64_t rings_write(SharedHeader *shared, int fd) noexcept nogil
