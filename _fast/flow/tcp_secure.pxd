"""A raw connection that is TLS on one side or on both: what its tunnel needs beside that of plain bytes.

From the moment that the upstream is connected both connections of such an exchange have the operations of this file in
place of those of `server_tcp` and `client_tcp`; so plain ones have none of it.

- The upstream's session is kept for the next connection to the same host, again with each input until its first bytes
  have come: behind these are the tickets of TLS 1.3 (RFC 8446 section 4.6.1).
- An end is passed on when the close_notify that tells it has left the queue, so that what follows cannot drop it.
- A connection that has been busy and rests gives back the memory between the socket and its session.

Called by the loop, by way of `ConnOps`.
"""
from tulle._fast.flow.types cimport Worker

cdef void tcp_secure_install(Worker *worker) noexcept nogil
