"""See `h2_abuse.pxd` for the contract."""

cdef enum:
    # What purses hold, and what a second puts in. Clients that give up on a slow service reset all that they have
    # asked, again and again; no client sends a thousand of these frames for nothing.
    RESET_MOST = 1000
    RESET_RATE = 100
    CONTROL_MOST = 2000
    CONTROL_RATE = 200
    ERROR_MOST = 200
    ERROR_RATE = 20
    SECOND = 1000000000


cdef inline uint32_t purse_most(int purse) noexcept nogil:
    if purse == PURSE_RESET:
        return RESET_MOST
    return CONTROL_MOST if purse == PURSE_CONTROL else ERROR_MOST


cdef inline uint32_t purse_rate(int purse) noexcept nogil:
    if purse == PURSE_RESET:
        return RESET_RATE
    return CONTROL_RATE if purse == PURSE_CONTROL else ERROR_RATE


cdef void abuse_init(H2Abuse *abuse, uint64_t now) noexcept nogil:
    cdef int purse
    for purse in range(<int>PURSE_COUNT):
        abuse.coins[purse] = purse_most(purse)
    abuse.filled = now


cdef void abuse_earn(H2Abuse *abuse, int purse, uint32_t coins) noexcept nogil:
    cdef uint32_t most = purse_most(purse)
    coins += abuse.coins[purse]
    abuse.coins[purse] = coins if coins < most else most


cdef bint abuse_pay_late(H2Abuse *abuse, int purse, uint64_t now) noexcept nogil:
    cdef uint64_t seconds = (now - abuse.filled) // SECOND
    cdef int other
    if seconds > RESET_MOST:
        seconds = RESET_MOST           # fills any of them
    if seconds > 0:
        abuse.filled = now
        for other in range(<int>PURSE_COUNT):
            abuse_earn(abuse, other, <uint32_t>seconds * purse_rate(other))
    if abuse.coins[purse] == 0:
        return False
    abuse.coins[purse] -= 1
    return True
