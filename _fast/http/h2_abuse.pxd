"""What a peer may do that costs us and gains it nothing, and how often: resets, control frames, errors.

Each kind has a purse. A deed takes a coin out of it; time and honest work put coins in, up to what it holds. A peer
whose purse is empty gets GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 section 10.5). So a burst is let pass, a rate that
goes with honest work is too, and a flood ends within a number of frames that is known. Pure: the time is passed in.

    reset     streams that the peer opened and reset before they were answered (rapid reset, CVE-2023-44487)
    control   frames that move no request on: PING, SETTINGS, answers to none of ours, PRIORITY, empty DATA,
              WINDOW_UPDATE, GOAWAY, unknown ones
    error     streams that were refused or ended for an error of the peer
"""
from tulle._fast.base.types cimport uint32_t, uint64_t, unlikely

cdef enum H2Purse:
    PURSE_RESET = 0
    PURSE_CONTROL
    PURSE_ERROR
    PURSE_COUNT

cdef struct H2Abuse:
    uint32_t coins[3]                  # by H2Purse
    uint64_t filled                    # when time last put some in, monotonic ns

cdef void abuse_init(H2Abuse *abuse, uint64_t now) noexcept nogil
# Time puts its coins in; True when the deed can be paid now
cdef bint abuse_pay_late(H2Abuse *abuse, int purse, uint64_t now) noexcept nogil
# Honest work: a request answered, DATA that the peer wanted
cdef void abuse_earn(H2Abuse *abuse, int purse, uint32_t coins) noexcept nogil

cdef inline bint abuse_pay(H2Abuse *abuse, int purse, uint64_t now) noexcept nogil:
    """False: the purse is empty, the peer has to calm down."""
    if unlikely(abuse.coins[purse] == 0):
        return abuse_pay_late(abuse, purse, now)
    abuse.coins[purse] -= 1
    return True
