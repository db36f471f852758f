"""One read of an HTTP/2 connection, alike on both sides. Called by `server_h2` and `client_h2`.

Frames are taken out of the buffer one by one, and nothing pins it: what is left of one moves to the front before the
room behind it is too little to be worth a call.
"""
from libc.string cimport memmove

from tulle._fast.base.buf cimport Buf, buf_length, buf_room
from tulle._fast.base.types cimport uint32_t
from tulle._fast.net.conn cimport CONN_DONE, CONN_FULL, Conn, conn_fill, conn_grow

cdef enum:
    H2_READ_LEAST = 2048               # bytes of room that are worth a read

cdef inline int h2_read(Conn *conn) noexcept nogil:
    """As `conn_fill`."""
    cdef Buf *buf = conn.input
    cdef uint32_t length
    cdef int result
    if buf != NULL and buf.start != 0 and buf_room(buf) < H2_READ_LEAST:
        length = buf_length(buf)
        memmove(buf.data, buf.data + buf.start, length)
        buf.start = 0
        buf.end = length
    result = conn_fill(conn)
    if result == CONN_FULL and conn_grow(conn) == CONN_DONE:
        result = conn_fill(conn)
    return result
