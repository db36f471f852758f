"""Redirected connections: where they were meant for, and connections to there.

A listener with `original_destination` asks the kernel at accept (SO_ORIGINAL_DST, for IPv6 IP6T_SO_ORIGINAL_DST) where
the connection was meant for, and keeps it with the connection: `Server.meant`. Who connects to the listener itself
has meant nothing else: without a destination, so that a sidecar never connects to itself.

A cluster with `original_destination` has one endpoint, with port 0, that is a placeholder (`Host.anywhere`): what is
picked is then one host for each destination, made when it is first needed (`Host.meant`), whose connections so are
kept apart in the pool. It counts in the placeholder's name. Those that nothing uses are freed as others are made: there
are never more than connections, attempts and buckets together.
"""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.flow.types cimport Exchange, Host, Meant, Server
from tulle._fast.policy.image cimport Image, ListenerEntry
from tulle._fast.policy.route cimport RouteQuery

cdef enum:
    MEANT_TEXT = 64                    # room for a destination as text
    MEANT_BUCKETS = 256

# Of a connection that was just accepted
cdef void interception_learn(Server *server) noexcept nogil
# "10.96.0.7:80" or "[fd00::7]:80"; its length, 0 without a destination
cdef uint32_t interception_text(const Meant *meant, char *text) noexcept nogil
# Whether routes of the listener name where the connection was meant for
cdef bint interception_routed(Server *server, const Image *image, const ListenerEntry *listener) noexcept nogil
# The destination takes the place of the host, if routes name it; `text` has room for MEANT_TEXT
cdef void interception_name(Exchange *x, RouteQuery *query, char *text) noexcept nogil
# The host for where the exchange's connection was meant for; NULL: there is no such place, or no memory
cdef Host *interception_host(Exchange *x, Host *placeholder) noexcept nogil
