"""See `h2_window.pxd` for the contract."""
from libc.string cimport memcmp

from tulle._fast.base.types cimport int32_t, int64_t, uint64_t, unlikely
from tulle._fast.http.h2_frame cimport H2_FLOW_CONTROL_ERROR
from tulle._fast.http.h2_output cimport h2_out_ping, h2_out_window
from tulle._fast.http.h2_types cimport H2C_PROBING, H2S_REMOTE_DONE, H2S_RESET

cdef enum:
    PROBE_LEAST = 16384                # bytes of DATA on the way of one that is worth a probe


cdef inline const char *probe_text() noexcept nogil:
    return b"tulleBDP"


cdef void probe_begin(H2Connection *c) noexcept nogil:
    c.flags |= H2C_PROBING
    c.probe_bytes = 0
    h2_out_ping(c, False, probe_text())


cdef int h2_window_charge(H2Connection *c, H2Stream *s, uint32_t length) noexcept nogil:
    if unlikely(length > c.receive_window):
        return H2_FLOW_CONTROL_ERROR
    c.receive_window -= length
    c.probe_bytes += length
    if s == NULL:
        return 0
    if unlikely(<int64_t>length > s.receive_window):
        return -<int>H2_FLOW_CONTROL_ERROR
    s.receive_window -= <int32_t>length
    if (
        unlikely(c.probe_bytes >= PROBE_LEAST) and not c.flags & H2C_PROBING
        and (c.window_goal < c.limits.window_most or c.connection_goal < c.limits.connection_window_most)
    ):
        probe_begin(c)
    return 0


cdef inline uint32_t window_give(uint32_t *taken, uint32_t *size, uint32_t goal) noexcept nogil:
    """What was taken, and what the window is to grow by."""
    cdef uint32_t more = taken[0] + (goal - size[0])
    size[0] = goal
    taken[0] = 0
    return more


cdef void h2_window_return(H2Connection *c, H2Stream *s, uint32_t length) noexcept nogil:
    cdef uint32_t more
    c.taken += length
    if c.taken >= c.window_size // 2:
        more = window_give(&c.taken, &c.window_size, c.connection_goal)
        c.receive_window += more
        h2_out_window(c, 0, more)
    if s == NULL or s.flags & (H2S_REMOTE_DONE | H2S_RESET):
        return
    s.taken += length
    if s.taken >= s.window_size // 2:
        more = window_give(&s.taken, &s.window_size, c.window_goal)
        s.receive_window += <int32_t>more
        h2_out_window(c, s.id, more)


cdef inline uint32_t window_doubled(uint32_t goal, uint32_t most) noexcept nogil:
    return goal * 2 if goal * 2 < most else most


cdef bint h2_window_probed(H2Connection *c, const char *opaque) noexcept nogil:
    if not c.flags & H2C_PROBING or memcmp(opaque, probe_text(), 8) != 0:
        return False
    c.flags &= ~<uint32_t>H2C_PROBING
    # Two thirds: what comes in before the answer is less than the window by what the peer had not been given back
    if c.probe_bytes * 3 >= <uint64_t>c.window_goal * 2 and c.window_goal < c.limits.window_most:
        c.window_goal = window_doubled(c.window_goal, c.limits.window_most)
    if c.probe_bytes * 3 >= <uint64_t>c.connection_goal * 2 and c.connection_goal < c.limits.connection_window_most:
        c.connection_goal = window_doubled(c.connection_goal, c.limits.connection_window_most)
    c.probe_bytes = 0
    return True
