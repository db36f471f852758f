"""The side that an HTTP/1 request is sent to: connects, writes heads and bodies, reads answers, goes back to the pool.

    connecting -> busy -> idle -> busy ... -> closed

It reports to the attempt that the connection belongs to. An idle connection that shows any sign of life is closed.
"""
from tulle._fast.flow.types cimport Worker

cdef void client_install(Worker *worker) noexcept nogil
