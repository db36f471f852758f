"""Mirroring: a copy of a request goes to another cluster too, and its answer is thrown away.

A mirror is an exchange of its own whose server side is a `Mirror`: it takes the request's body from a queue that the
original fills as it reads, and drops what it is sent. It begins a turn of the loop after the original was told to, is
never tried again, and holds nothing back: one that has MIRROR_BYTES in its queue is abandoned. It counts in the limits
and figures of its own cluster, in the listener's figures and in the log not at all.
"""
from tulle._fast.flow.types cimport Exchange, Worker
from tulle._fast.policy.image cimport BackendEntry

# Copies of a request that is about to be sent, as its route says
cdef void mirror_begin(Exchange *x) noexcept nogil
# Where a mirror goes
cdef const BackendEntry *mirror_goal(const Exchange *x) noexcept nogil
cdef void mirror_install(Worker *worker) noexcept nogil
