"""Who may send a request to where it goes: its token, then the policies of its listener and its route.

Called by the exchange once path and route are known, before anything else is asked of the request and before anything
of it is sent. A request without a route is asked the policies of the listener, so that who is not allowed does not
learn which routes there are.
"""
from tulle._fast.flow.types cimport Exchange

# Of a listener with a guard. True: it goes on; False: it was answered, and the exchange may be gone, or it waits for
# its token to be verified, and is asked again then
cdef bint authorize(Exchange *x) noexcept nogil
