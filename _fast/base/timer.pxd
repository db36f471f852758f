"""Timer wheel: five levels of 64 slots, a tick of 2^20 ns (1.05 ms). Every operation is O(1) and makes no system call.

Deadlines are lazy: moving one later only stores it; the slot that comes up first finds the timer early and files it
anew. A timer never fires before its deadline and at most a tick after the loop gets to it.
"""
from tulle._fast.base.list cimport Node, list_init, list_remove
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    TIMER_LEVELS = 5
    TIMER_SLOTS = 64
    TIMER_TICK_SHIFT = 20

cdef struct Timer:
    Node node
    uint64_t deadline                  # monotonic ns; 0: off
    uint64_t filed                     # tick that it is filed under; 0: in no slot
    void (*handler)(Timer *timer, uint64_t now) noexcept nogil

ctypedef void (*TimerHandler)(Timer *timer, uint64_t now) noexcept nogil

cdef struct TimerWheel:
    uint64_t tick                      # the last tick that was run
    uint64_t occupied[5]               # a bit per slot that may hold timers
    Node slots[5][64]

cdef void wheel_init(TimerWheel *wheel, uint64_t now) noexcept nogil
cdef void wheel_file(TimerWheel *wheel, Timer *timer) noexcept nogil
# Runs what is due; handlers may set, clear and free any timer
cdef void wheel_run(TimerWheel *wheel, uint64_t now) noexcept nogil
# Nanoseconds from `now` until something may be due, 0 when it is, UINT64_MAX when there is no timer
cdef uint64_t wheel_next(const TimerWheel *wheel, uint64_t now) noexcept nogil

cdef inline void timer_init(Timer *timer, TimerHandler handler) noexcept nogil:
    list_init(&timer.node)
    timer.deadline = 0
    timer.filed = 0
    timer.handler = handler

cdef inline void timer_set(TimerWheel *wheel, Timer *timer, uint64_t deadline) noexcept nogil:
    timer.deadline = deadline
    if timer.filed == 0 or (deadline >> TIMER_TICK_SHIFT) + 1 < timer.filed:
        wheel_file(wheel, timer)

cdef inline void timer_clear(Timer *timer) noexcept nogil:
    """Off, but still filed: cheap for a timer that will be set again soon. Not for one that is about to be freed."""
    timer.deadline = 0

cdef inline void timer_remove(Timer *timer) noexcept nogil:
    timer.deadline = 0
    timer.filed = 0
    list_remove(&timer.node)
