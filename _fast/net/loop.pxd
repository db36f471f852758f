"""The epoll loop: watches, a ready list, timers, and what is freed only when no event can name it any more.

One turn: wait, read the clock once, run the events, run the ready list as it stood, run the timers, bury the dead.
A watch on the ready list is run without an event, for an edge-triggered descriptor that was left half read gets none.
"""
from tulle._fast.base.list cimport Node, list_append, list_empty, list_init, list_remove
from tulle._fast.base.timer cimport TimerWheel
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.net.system cimport epoll_event

cdef enum:
    LOOP_EVENTS = 128                  # taken from the kernel at a time

cdef enum:
    WATCH_RUN_READY = 1 << 20          # among `events`: called from the ready list (no EPOLL bit is up there but ET)

ctypedef void (*WatchHandler)(Watch *watch, uint32_t events) noexcept nogil
ctypedef void (*BuryHandler)(Loop *loop, Watch *watch) noexcept nogil

cdef struct Watch:
    int fd                             # -1 once closed
    uint32_t dead                      # 1: no handler is called any more
    uint32_t pending                   # events of this turn that its handler has not been called for yet
    WatchHandler handler
    BuryHandler bury                   # frees what the watch lives in, at the end of the turn
    Node ready                         # in Loop.ready, or with `dead` in Loop.graveyard
    Loop *loop

cdef struct Loop:
    int epoll
    bint stopped
    uint64_t now                       # monotonic ns, read once a turn
    uint64_t turns
    TimerWheel timers
    Node ready
    Node graveyard
    epoll_event events[128]

cdef int loop_init(Loop *loop) noexcept nogil
cdef void loop_destroy(Loop *loop) noexcept nogil
cdef void loop_turn(Loop *loop, uint64_t longest) noexcept nogil

cdef void watch_init(Watch *watch, Loop *loop, int fd, WatchHandler handler, BuryHandler bury) noexcept nogil
cdef int watch_add(Watch *watch, uint32_t events) noexcept nogil
cdef int watch_modify(Watch *watch, uint32_t events) noexcept nogil
cdef void watch_delete(Watch *watch) noexcept nogil
# Closes the descriptor, silences the watch, and has it buried at the end of the turn. A socket that another process has
# open too is deleted first: closing it here takes it out of no epoll set
cdef void watch_kill(Watch *watch) noexcept nogil

cdef inline void watch_make_ready(Watch *watch) noexcept nogil:
    if list_empty(&watch.ready) and not watch.dead:
        list_append(&watch.loop.ready, &watch.ready)
