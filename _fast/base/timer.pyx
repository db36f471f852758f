"""See `timer.pxd`. A timer due at tick t lies on the lowest level whose span covers t; as time enters a slot of a
higher level, its timers are filed anew on a lower one.
"""
from tulle._fast.base.list cimport list_append, list_empty

cdef extern from *:
    """
    #define tulle_ctz64(x) __builtin_ctzll(x)
    """
    int ctz64 "tulle_ctz64"(uint64_t value) noexcept nogil

cdef enum:
    SLOT_BITS = 6
    SLOT_MASK = 63


cdef void wheel_init(TimerWheel *wheel, uint64_t now) noexcept nogil:
    cdef int level, slot
    wheel.tick = now >> TIMER_TICK_SHIFT
    for level in range(TIMER_LEVELS):
        wheel.occupied[level] = 0
        for slot in range(TIMER_SLOTS):
            list_init(&wheel.slots[level][slot])


cdef void wheel_file(TimerWheel *wheel, Timer *timer) noexcept nogil:
    # The tick after the deadline's, so that a timer is never early
    cdef uint64_t due = (timer.deadline >> TIMER_TICK_SHIFT) + 1
    cdef uint64_t ahead
    cdef int level = 0
    cdef int slot
    if due <= wheel.tick:
        due = wheel.tick + 1
    ahead = due ^ wheel.tick
    # The level is that of the highest digit in which `due` and the present differ: that slot is still to come
    while level < TIMER_LEVELS - 1 and ahead >> (SLOT_BITS * (level + 1)) != 0:
        level += 1
    # The top level goes round: only what lies a whole round ahead, or more, has no slot of its own
    if (due >> (SLOT_BITS * level)) - (wheel.tick >> (SLOT_BITS * level)) > SLOT_MASK:
        due = wheel.tick + (<uint64_t>SLOT_MASK << (SLOT_BITS * level))
    slot = (due >> (SLOT_BITS * level)) & SLOT_MASK
    list_remove(&timer.node)
    timer.filed = due
    list_append(&wheel.slots[level][slot], &timer.node)
    wheel.occupied[level] |= <uint64_t>1 << slot


cdef void wheel_empty_slot(TimerWheel *wheel, int level, int slot, uint64_t now) noexcept nogil:
    """Fire what is due and file the rest anew. The slot's list is moved out first: handlers may file into it."""
    cdef Node due
    cdef Timer *timer
    if not wheel.occupied[level] & (<uint64_t>1 << slot):
        return
    wheel.occupied[level] &= ~(<uint64_t>1 << slot)
    if list_empty(&wheel.slots[level][slot]):
        return
    due.next = wheel.slots[level][slot].next
    due.prev = wheel.slots[level][slot].prev
    due.next.prev = &due
    due.prev.next = &due
    list_init(&wheel.slots[level][slot])
    while not list_empty(&due):
        timer = <Timer *>due.next
        list_remove(&timer.node)
        timer.filed = 0
        if timer.deadline == 0:
            continue
        if timer.deadline > now:
            wheel_file(wheel, timer)
        else:
            timer.deadline = 0
            timer.handler(timer, now)


cdef void wheel_run(TimerWheel *wheel, uint64_t now) noexcept nogil:
    cdef uint64_t target = now >> TIMER_TICK_SHIFT
    cdef uint64_t pending
    cdef int level
    while wheel.tick < target:
        if wheel.occupied[0] == 0:
            # Nothing on the lowest level until it wraps: go there at once
            if (wheel.tick | SLOT_MASK) >= target:
                wheel.tick = target
                return
            wheel.tick |= SLOT_MASK
        wheel.tick += 1
        level = 1
        pending = wheel.tick
        while level < TIMER_LEVELS and pending & SLOT_MASK == 0:
            pending >>= SLOT_BITS
            wheel_empty_slot(wheel, level, pending & SLOT_MASK, now)
            level += 1
        wheel_empty_slot(wheel, 0, wheel.tick & SLOT_MASK, now)


cdef uint64_t wheel_next(const TimerWheel *wheel, uint64_t now) noexcept nogil:
    cdef uint64_t best = <uint64_t>-1
    cdef uint64_t position, bits, distance, tick, when
    cdef int level
    for level in range(TIMER_LEVELS):
        if wheel.occupied[level] == 0:
            continue
        position = (wheel.tick >> (SLOT_BITS * level)) & SLOT_MASK
        # Rotate so that bit 0 is the slot after the present one
        bits = wheel.occupied[level]
        if position != SLOT_MASK:
            bits = (bits >> (position + 1)) | (bits << (SLOT_MASK - position))
        distance = <uint64_t>ctz64(bits) + 1
        tick = ((wheel.tick >> (SLOT_BITS * level)) + distance) << (SLOT_BITS * level)
        if tick < best:
            best = tick
    if best == <uint64_t>-1:
        return best
    when = best << TIMER_TICK_SHIFT
    return when - now if when > now else 0
