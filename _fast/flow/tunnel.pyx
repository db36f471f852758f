"""See `tunnel.pxd`."""
from tulle._fast.base.buf cimport BUF_SMALL
from tulle._fast.base.types cimport likely
from tulle._fast.flow.finish cimport exchange_finish
from tulle._fast.flow.types cimport X_TUNNEL_DOWN_DONE, X_TUNNEL_UP_DONE
from tulle._fast.net.conn cimport CONN_BULK, conn_available, conn_release_input
from tulle._fast.net.splice cimport splice_get, splice_put


cdef bint tunnel_side_done(Exchange *x, uint32_t side) noexcept nogil:
    x.flags |= side
    if x.flags & X_TUNNEL_UP_DONE and x.flags & X_TUNNEL_DOWN_DONE:
        exchange_finish(x, False, False)
        return True
    return False


cdef bint tunnel_splices(Exchange *x, Splice **pipe, Conn *source, Conn *sink) noexcept nogil:
    if pipe[0] != NULL:
        return True
    if source == NULL or sink == NULL or likely(not source.state & CONN_BULK) or conn_available(source) > 0:
        return False
    pipe[0] = splice_get(&x.worker.splices)
    if pipe[0] == NULL:
        return False
    conn_release_input(source)
    return True


cdef void tunnel_splice_rests(Exchange *x, Splice **pipe, Conn *source, uint64_t moved) noexcept nogil:
    if moved < BUF_SMALL:
        # Until the next full buffer tells otherwise, what comes is small again
        source.state &= ~<uint32_t>CONN_BULK
    splice_put(&x.worker.splices, pipe[0])
    pipe[0] = NULL
