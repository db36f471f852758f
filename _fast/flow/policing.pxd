"""What is asked of a request before it goes its way, and the answers to those that do not pass.

Called by the exchange; True: it goes on. False: it was answered, and the exchange may be gone.
"""
from tulle._fast.flow.types cimport Exchange

# Before there is a route
cdef bint police_listener(Exchange *x) noexcept nogil
# Of a route with ROUTE_POLICED. False also when it is held back for a while
cdef bint police_route(Exchange *x) noexcept nogil
# What is left to ask after that while
cdef bint police_resumed(Exchange *x) noexcept nogil
