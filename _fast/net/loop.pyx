"""See `loop.pxd`."""
from tulle._fast.base.clock cimport MILLISECOND, clock_monotonic
from tulle._fast.base.timer cimport wheel_init, wheel_next, wheel_run
from tulle._fast.base.types cimport likely
from tulle._fast.net.system cimport (
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, close, epoll_create1, epoll_ctl, epoll_wait,
)


cdef inline Watch *watch_of(Node *node) noexcept nogil:
    cdef Watch *null = NULL
    return <Watch *>(<char *>node - <size_t>&null.ready)


cdef int loop_init(Loop *loop) noexcept nogil:
    loop.epoll = epoll_create1(EPOLL_CLOEXEC)
    loop.stopped = False
    loop.now = clock_monotonic()
    loop.turns = 0
    wheel_init(&loop.timers, loop.now)
    list_init(&loop.ready)
    list_init(&loop.graveyard)
    return 0 if loop.epoll >= 0 else -1


cdef void loop_bury(Loop *loop) noexcept nogil:
    cdef Watch *watch
    while not list_empty(&loop.graveyard):
        watch = watch_of(loop.graveyard.next)
        list_remove(&watch.ready)
        watch.bury(loop, watch)


cdef void loop_destroy(Loop *loop) noexcept nogil:
    loop_bury(loop)
    close(loop.epoll)


cdef void loop_run_ready(Loop *loop) noexcept nogil:
    """What is on the list now; what a handler adds waits for the next turn."""
    cdef Node batch
    cdef Watch *watch
    batch.next = loop.ready.next
    batch.prev = loop.ready.prev
    batch.next.prev = &batch
    batch.prev.next = &batch
    list_init(&loop.ready)
    while not list_empty(&batch):
        watch = watch_of(batch.next)
        list_remove(&watch.ready)
        watch.handler(watch, WATCH_RUN_READY)


cdef int loop_wait(Loop *loop, uint64_t longest) noexcept nogil:
    cdef uint64_t wait = 0
    cdef int milliseconds
    if list_empty(&loop.ready):
        wait = wheel_next(&loop.timers, loop.now)
        if wait > longest:
            wait = longest
    if wait >= <uint64_t>3600000 * MILLISECOND:
        milliseconds = 3600000
    else:
        milliseconds = <int>((wait + MILLISECOND - 1) // MILLISECOND)
    return epoll_wait(loop.epoll, loop.events, LOOP_EVENTS, milliseconds)


cdef void loop_turn(Loop *loop, uint64_t longest) noexcept nogil:
    cdef int count = loop_wait(loop, longest)
    cdef int index
    cdef Watch *watch
    loop.now = clock_monotonic()
    loop.turns += 1
    # All are noted before the first is run: whoever takes up an idle connection can see what has come in for it
    for index in range(count):
        (<Watch *>loop.events[index].data.ptr).pending = loop.events[index].events
    for index in range(count):
        watch = <Watch *>loop.events[index].data.ptr
        watch.pending = 0
        if likely(not watch.dead):
            watch.handler(watch, loop.events[index].events)
    if not list_empty(&loop.ready):
        loop_run_ready(loop)
    wheel_run(&loop.timers, loop.now)
    if not list_empty(&loop.graveyard):
        loop_bury(loop)


cdef void watch_init(Watch *watch, Loop *loop, int fd, WatchHandler handler, BuryHandler bury) noexcept nogil:
    watch.fd = fd
    watch.dead = 0
    watch.pending = 0
    watch.handler = handler
    watch.bury = bury
    watch.loop = loop
    list_init(&watch.ready)


cdef int watch_control(Watch *watch, int operation, uint32_t events) noexcept nogil:
    cdef epoll_event event
    event.events = events
    event.data.ptr = watch
    return epoll_ctl(watch.loop.epoll, operation, watch.fd, &event)


cdef int watch_add(Watch *watch, uint32_t events) noexcept nogil:
    return watch_control(watch, EPOLL_CTL_ADD, events)


cdef int watch_modify(Watch *watch, uint32_t events) noexcept nogil:
    return watch_control(watch, EPOLL_CTL_MOD, events)


cdef void watch_delete(Watch *watch) noexcept nogil:
    watch_control(watch, EPOLL_CTL_DEL, 0)


cdef void watch_kill(Watch *watch) noexcept nogil:
    if watch.dead:
        return
    watch.dead = 1
    if watch.fd >= 0:
        close(watch.fd)
        watch.fd = -1
    list_remove(&watch.ready)
    list_append(&watch.loop.graveyard, &watch.ready)
