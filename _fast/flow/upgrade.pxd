"""Which upgrades may be asked of a backend (RFC 9110 section 7.8). Called once a request that asks for one is routed.

Not those to another HTTP: the requests in such a tunnel would pass by routes and policies. Not those of a request
with a body: a 101 in the middle of it would leave in doubt where the tunnel begins.
"""
from tulle._fast.http.message cimport Message

cdef bint upgrade_may_pass(const Message *message) noexcept nogil
