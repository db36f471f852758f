"""Until when a try is to be answered: its time begins when the whole request is here, or with the try if that is later.

So a client that sends its body slowly is neither cut off by `per_try` nor held against the host.
"""
from tulle._fast.base.types cimport uint64_t
from tulle._fast.flow.types cimport X_REQUEST_READ, Exchange

cdef inline uint64_t try_ends(const Exchange *x) noexcept nogil:
    """For a time that begins now; 0: it does not yet, or has no end."""
    if x.route.try_timeout == 0 or not x.flags & X_REQUEST_READ:
        return 0
    return x.worker.loop.now + x.route.try_timeout

cdef inline uint64_t earlier(uint64_t left, uint64_t right) noexcept nogil:
    """Of two deadlines, where 0 is none."""
    if left == 0:
        return right
    return left if right == 0 or left < right else right
