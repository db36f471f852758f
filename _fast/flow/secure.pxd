"""TLS on a connection from a client, whatever protocol follows: its beginning, and the end of one that has failed.

Called by the server sides. Whoever gets `connected` with an error calls `secure_refuse` and does what it says.
"""
from tulle._fast.flow.types cimport Table, Worker
from tulle._fast.net.conn cimport Conn
from tulle._fast.policy.image cimport ListenerEntry

# Begin with a handshake, and with the time for it. False: no memory
cdef bint secure_accept(Worker *worker, Conn *conn, const ListenerEntry *listener, Table *table) noexcept nogil
# The handshake has failed. True: read on for a while and then close, for what was said to the client is on its way
cdef bint secure_refuse(Worker *worker, Conn *conn) noexcept nogil
