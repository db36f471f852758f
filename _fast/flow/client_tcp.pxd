"""The side that a raw connection is forwarded to: no head goes out and none comes back.

It opens connections, reads and closes as `client_h1` does, for from its first byte on it is what an upgraded HTTP
connection is: a tunnel. Being connected is the answer that balancer, breaker and outlier detection learn from. Such
a connection is always a new one, and never goes to the pool.
"""
from tulle._fast.flow.types cimport Upstream, Worker

cdef void tcp_client_install(Worker *worker) noexcept nogil

# What its kind with TLS does alike, see tcp_secure
# What stands for a response head. False: the exchange is over, or its client takes no more now
cdef bint tcp_answered(Upstream *upstream) noexcept nogil
