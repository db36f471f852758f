"""See `sweeping.pxd`."""
from tulle._fast.base.clock cimport MILLISECOND
from tulle._fast.base.sweep cimport sweep_begin, sweep_end, sweep_init, sweep_step
from tulle._fast.base.timer cimport Timer, timer_init, timer_remove, timer_set
from tulle._fast.base.types cimport uint64_t

cdef enum:
    MOST_SERIES = 256                  # at a time: some tens of microseconds
    PAUSE = 2                          # milliseconds


cdef void sweeping_tick(Timer *timer, uint64_t now) noexcept nogil:
    cdef Worker *null = NULL
    cdef Worker *worker = <Worker *>(<char *>timer - <size_t>&null.sweep_timer)
    if sweep_step(&worker.sweep, MOST_SERIES):
        timer_set(&worker.loop.timers, timer, now + <uint64_t>PAUSE * MILLISECOND)


cdef void sweeping_install(Worker *worker, int shared_fd) noexcept nogil:
    sweep_init(&worker.sweep, worker.shared, worker.lane, shared_fd)
    timer_init(&worker.sweep_timer, sweeping_tick)


cdef void sweeping_begin(Worker *worker, int numbers) noexcept nogil:
    if sweep_begin(&worker.sweep, numbers):
        timer_set(&worker.loop.timers, &worker.sweep_timer, worker.loop.now)


cdef void sweeping_end(Worker *worker) noexcept nogil:
    timer_remove(&worker.sweep_timer)
    sweep_end(&worker.sweep)
