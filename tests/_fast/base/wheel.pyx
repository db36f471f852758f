"""The timer wheel as a Python class, for tests and benchmarks; built in place only.

Each timer lives in memory of its own, which `FREE` gives back at once: a wheel that touches a timer after that is a
finding of the sanitizers.
"""
from libc.stdlib cimport calloc, free

from tulle._fast.base.random cimport Random, random_below, random_seed
from tulle._fast.base.timer cimport (
    TIMER_TICK_SHIFT, Timer, TimerWheel, timer_clear, timer_init, timer_remove, timer_set, wheel_init, wheel_next,
    wheel_run,
)
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef enum:
    MOST_TIMERS = 64
    MOST_REACTIONS = 8
    MOST_FIRINGS = 65536

cdef struct Reaction:
    int kind
    uint32_t target
    uint64_t delay

cdef struct Item:
    Timer timer                        # first: a Timer * is the Item *
    Shelf *shelf
    uint32_t index
    uint32_t reaction_count
    Reaction reactions[8]

cdef struct Shelf:
    TimerWheel wheel
    Item *items[64]
    uint32_t firing_count
    uint32_t firings[65536]

SET, CLEAR, REMOVE, FREE = range(4)
TICK = 1 << TIMER_TICK_SHIFT
NEVER = (1 << 64) - 1


cdef void act(Shelf *shelf, int kind, uint32_t target, uint64_t deadline) noexcept nogil:
    cdef Item *item = shelf.items[target]
    if item == NULL:
        return
    if kind == 0:
        timer_set(&shelf.wheel, &item.timer, deadline)
    elif kind == 1:
        timer_clear(&item.timer)
    else:
        timer_remove(&item.timer)
    if kind == 3:
        shelf.items[target] = NULL
        free(item)


cdef void fired(Timer *timer, uint64_t now) noexcept nogil:
    cdef Item *item = <Item *>timer
    cdef Shelf *shelf = item.shelf
    cdef Reaction reactions[8]
    cdef uint32_t count = item.reaction_count
    cdef uint32_t index
    if shelf.firing_count < MOST_FIRINGS:
        shelf.firings[shelf.firing_count] = item.index
    shelf.firing_count += 1
    reactions = item.reactions                       # a reaction may free the item
    for index in range(count):
        act(shelf, reactions[index].kind, reactions[index].target, now + reactions[index].delay)


cdef class Wheel:
    """`count` timers on a wheel that begins at `now`, in nanoseconds."""
    cdef Shelf *shelf
    cdef uint32_t count

    def __cinit__(self, uint32_t count, uint64_t now):
        cdef uint32_t index
        if count > MOST_TIMERS:
            raise ValueError(f"{count} timers, {MOST_TIMERS} at most")
        self.shelf = <Shelf *>calloc(1, sizeof(Shelf))
        if self.shelf == NULL:
            raise MemoryError
        self.count = count
        wheel_init(&self.shelf.wheel, now)
        for index in range(count):
            self.shelf.items[index] = <Item *>calloc(1, sizeof(Item))
            if self.shelf.items[index] == NULL:
                raise MemoryError
            timer_init(&self.shelf.items[index].timer, fired)
            self.shelf.items[index].shelf = self.shelf
            self.shelf.items[index].index = index

    def __dealloc__(self):
        cdef uint32_t index
        if self.shelf != NULL:
            for index in range(self.count):
                free(self.shelf.items[index])
        free(self.shelf)

    def do(self, int kind, uint32_t index, uint64_t deadline=0) -> None:
        """SET, CLEAR, REMOVE or FREE a timer."""
        act(self.shelf, kind, index, deadline)

    def react(self, uint32_t index, list reactions) -> None:
        """What the handler of a timer does whenever it fires: (kind, target, delay from then) each."""
        cdef Item *item = self.shelf.items[index]
        if len(reactions) > MOST_REACTIONS:
            raise ValueError(f"{len(reactions)} reactions, {MOST_REACTIONS} at most")
        item.reaction_count = 0
        for kind, target, delay in reactions:
            item.reactions[item.reaction_count] = Reaction(kind, target, delay)
            item.reaction_count += 1

    def run(self, uint64_t now) -> list[int]:
        """The timers that fired, in their order."""
        self.shelf.firing_count = 0
        with nogil:
            wheel_run(&self.shelf.wheel, now)
        if self.shelf.firing_count > MOST_FIRINGS:
            raise OverflowError(f"{self.shelf.firing_count} firings in one run")
        return [self.shelf.firings[index] for index in range(self.shelf.firing_count)]

    def next(self, uint64_t now) -> int:
        """Nanoseconds until something may be due, or NEVER."""
        return wheel_next(&self.shelf.wheel, now)


cdef void quiet(Timer *timer, uint64_t now) noexcept nogil:
    pass


cdef class Crowd:
    """Many timers on one wheel, for benchmarks: each loop is `times` operations in C."""
    cdef TimerWheel wheel
    cdef Timer *timers
    cdef uint32_t count
    cdef Random random
    cdef uint64_t now

    def __cinit__(self, uint32_t count):
        cdef uint32_t index
        self.timers = <Timer *>calloc(count, sizeof(Timer))
        if self.timers == NULL:
            raise MemoryError
        self.count = count
        self.now = <uint64_t>1 << 40
        random_seed(&self.random, 1)
        wheel_init(&self.wheel, self.now)
        for index in range(count):
            timer_init(&self.timers[index], quiet)

    def __dealloc__(self):
        free(self.timers)

    cdef inline Timer *any(self) noexcept nogil:
        return &self.timers[random_below(&self.random, self.count)]

    def move_often(self, uint64_t span, uint32_t times) -> None:
        """Deadlines `span` ns ahead, each later than the last: what a connection does with every read."""
        cdef uint32_t _time
        with nogil:
            for _time in range(times):
                self.now += 1000
                timer_set(&self.wheel, self.any(), self.now + span)

    def file_often(self, uint64_t span, uint32_t times) -> None:
        """Set and removed again: what a request of its own timer does."""
        cdef uint32_t _time
        cdef Timer *timer
        with nogil:
            for _time in range(times):
                self.now += 1000
                timer = self.any()
                timer_set(&self.wheel, timer, self.now + span)
                timer_remove(timer)

    def run_often(self, uint64_t span, uint32_t times) -> None:
        """Set up to `span` ns ahead and fired, the clock a microsecond on each time."""
        cdef uint32_t _time
        with nogil:
            for _time in range(times):
                self.now += 1000
                timer_set(&self.wheel, self.any(), self.now + span)
                wheel_run(&self.wheel, self.now)

    def next_often(self, uint32_t times) -> int:
        cdef uint32_t _time
        cdef uint64_t total = 0
        with nogil:
            for _time in range(times):
                self.now += 1000
                total += wheel_next(&self.wheel, self.now)
        return total
