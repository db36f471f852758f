"""Session affinity: a cookie names the endpoint that answered, and its holder comes back to that endpoint.

The name is a hash of the cluster's name and the endpoint's address: opaque, and the same in all workers and sidecars.
While its endpoint cannot be used the balancer chooses, and the cookie is set anew.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Cluster, Exchange, Host

# The endpoint that the request's cookie names, if it may be used and has not been tried; else NULL
cdef Host *affinity_host(Cluster *cluster, Exchange *x) noexcept nogil
# Set-Cookie when the answer is from another endpoint than the cookie named
cdef void affinity_field(Exchange *x, uint32_t *count) noexcept nogil
