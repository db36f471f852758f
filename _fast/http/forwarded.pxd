"""Who the client is when proxies stand in front: the X-Forwarded-For list, read from its end.

Each proxy appends the address that it was called from, so with `hops` proxies that are believed the client is the
hops-th entry from the right, and what stands to the left of that was written by the client itself.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.http.message cimport Message

# Without a port. NULL when the list is shorter: then it did not come through these proxies
cdef const char *forwarded_client(const Message *message, uint32_t hops, uint32_t *length) noexcept nogil
