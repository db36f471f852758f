"""Bytes both ways until both sides have ended: WebSocket and other upgrades, CONNECT, raw TCP.

Each way ends for itself (half-close). Its end is read only after the receiver has taken all that came before, so a
slow reader loses nothing; the exchange is over when both ways are. Bytes that come in full buffers go through a pipe,
past this process's memory, and the pipe is given back as soon as there is nothing more to read: a tunnel that is idle
holds none. While much comes at a time, the next bytes take a pipe at once; the first that are few end that.
Called by `attempt` (the way up) and `client_h1` (the way down).
"""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.types cimport Exchange
from tulle._fast.net.conn cimport Conn
from tulle._fast.net.splice cimport Splice

cdef enum:
    TUNNEL_ENDLESS = 0xffffffffffffffff        # bytes still to come, as `splice_move` counts them

# X_TUNNEL_UP_DONE or X_TUNNEL_DOWN_DONE. True when it was the second of the two: the exchange is gone
cdef bint tunnel_side_done(Exchange *x, uint32_t side) noexcept nogil
# Whether one way goes through `*pipe` from now on. `source` and `sink` may be NULL: not plain
cdef bint tunnel_splices(Exchange *x, Splice **pipe, Conn *source, Conn *sink) noexcept nogil
# There is nothing more to read now; `moved` bytes were read since there was before
cdef void tunnel_splice_rests(Exchange *x, Splice **pipe, Conn *source, uint64_t moved) noexcept nogil
