"""The epoll loop as a Python class, for tests; built in place only.

Each watch lives in memory of its own, which is freed when it is buried: a loop that touches it later is a finding of
the sanitizers. What its handler does is told beforehand, as actions on other watches.
"""
from libc.stdlib cimport calloc, free

from tulle._fast.base.timer cimport Timer, timer_init, timer_remove, timer_set
from tulle._fast.base.types cimport BUG_ON, uint32_t, uint64_t
from tulle._fast.net.loop cimport (
    LOOP_EVENTS, WATCH_RUN_READY, Loop, Watch, loop_destroy, loop_init, loop_turn, watch_add, watch_delete, watch_init,
    watch_kill, watch_make_ready,
)
from tulle._fast.net.system cimport EPOLLET, EPOLLIN, EPOLLOUT, read

cdef extern from "<unistd.h>" nogil:
    int dup2(int fd, int number) noexcept

cdef enum:
    MOST_WATCHES = 512
    MOST_ACTIONS = 4
    MOST_NOTES = 4096
    TIMER_EVENT = 1 << 30

cdef struct Action:
    int kind
    uint32_t target

cdef struct Item:
    Watch watch                        # first
    Board *board
    Timer timer
    uint32_t index
    uint32_t action_count
    Action actions[4]

cdef struct Note:
    uint32_t index
    uint32_t events                    # 0: buried

cdef struct Board:
    Loop loop
    Item *items[512]
    uint32_t count
    int spare                          # a descriptor for REPLACE
    uint32_t seen
    uint32_t note_count
    Note notes[4096]

# kill; make ready; read; look at what is pending; kill and put another descriptor under the same number; kill at burial
KILL, READY, READ, LOOK, REPLACE, KILL_LATER = range(6)
BURIED, TIMER, READY_RUN = 0, TIMER_EVENT, WATCH_RUN_READY
EVENTS_OF_A_TURN = LOOP_EVENTS
IN, OUT, EDGE = EPOLLIN, EPOLLOUT, EPOLLET


cdef Item *item_new(Board *board, int fd) noexcept nogil:
    cdef Item *item = <Item *>calloc(1, sizeof(Item))
    BUG_ON(item == NULL or board.count == MOST_WATCHES)
    watch_init(&item.watch, &board.loop, fd, handled, buried)
    timer_init(&item.timer, timed)
    item.board = board
    item.index = board.count
    board.items[board.count] = item
    board.count += 1
    return item


cdef void note(Item *item, uint32_t events) noexcept nogil:
    cdef Board *board = item.board
    BUG_ON(board.note_count == MOST_NOTES)
    board.notes[board.note_count].index = item.index
    board.notes[board.note_count].events = events
    board.note_count += 1


cdef void act(Item *item, bint burial) noexcept nogil:
    cdef Board *board = item.board
    cdef Item *target
    cdef uint64_t value
    cdef uint32_t index
    cdef int kind, number
    for index in range(item.action_count):
        kind = item.actions[index].kind
        target = board.items[item.actions[index].target]
        if target == NULL or burial != (kind == 5):
            continue
        if kind == 0 or kind == 5:
            watch_kill(&target.watch)
        elif kind == 1:
            watch_make_ready(&target.watch)
        elif kind == 2:
            read(target.watch.fd, &value, sizeof(value))
        elif kind == 3:
            board.seen = target.watch.pending
        else:
            number = target.watch.fd
            watch_kill(&target.watch)
            BUG_ON(dup2(board.spare, number) != number)
            BUG_ON(watch_add(&item_new(board, number).watch, EPOLLIN) < 0)


cdef void handled(Watch *watch, uint32_t events) noexcept nogil:
    note(<Item *>watch, events)
    act(<Item *>watch, False)


cdef void timed(Timer *timer, uint64_t now) noexcept nogil:
    cdef Item *null = NULL
    cdef Item *item = <Item *>(<char *>timer - <size_t>&null.timer)
    note(item, TIMER_EVENT)
    act(item, False)


cdef void buried(Loop *loop, Watch *watch) noexcept nogil:
    cdef Item *item = <Item *>watch
    note(item, 0)
    timer_remove(&item.timer)
    item.board.items[item.index] = NULL
    act(item, True)
    free(item)


cdef class Watches:
    """A loop and its watches, named by the order in which they were added."""
    cdef Board *board

    def __cinit__(self):
        self.board = <Board *>calloc(1, sizeof(Board))
        if self.board == NULL:
            raise MemoryError
        if loop_init(&self.board.loop) < 0:
            raise OSError("no epoll descriptor can be had")

    def __dealloc__(self):
        cdef uint32_t index
        if self.board == NULL:
            return
        for index in range(self.board.count):
            if self.board.items[index] != NULL:
                watch_kill(&self.board.items[index].watch)
        loop_destroy(&self.board.loop)
        free(self.board)

    def add(self, int fd, uint32_t events=EPOLLIN) -> int:
        """Takes the descriptor over."""
        cdef Item *item = item_new(self.board, fd)
        if watch_add(&item.watch, events) < 0:
            raise OSError(f"descriptor {fd} cannot be watched")
        return item.index

    def on(self, uint32_t index, list actions) -> None:
        """What the handler of a watch does: (kind, target) each."""
        cdef Item *item = self.board.items[index]
        item.action_count = 0
        for kind, target in actions:
            BUG_ON(item.action_count == MOST_ACTIONS)
            item.actions[item.action_count] = Action(kind, target)
            item.action_count += 1

    def spare(self, int fd) -> None:
        """The descriptor that REPLACE puts in."""
        self.board.spare = fd

    def make_ready(self, uint32_t index) -> None:
        watch_make_ready(&self.board.items[index].watch)

    def kill(self, uint32_t index) -> None:
        watch_kill(&self.board.items[index].watch)

    def delete(self, uint32_t index) -> None:
        watch_delete(&self.board.items[index].watch)

    def set_timer(self, uint32_t index, uint64_t nanoseconds) -> None:
        """From the time of the last turn on."""
        timer_set(&self.board.loop.timers, &self.board.items[index].timer, self.board.loop.now + nanoseconds)

    def turn(self, uint64_t longest=0) -> list[tuple[int, int]]:
        """One turn, asleep for `longest` ns at most: (watch, events) as they came."""
        self.board.note_count = 0
        with nogil:
            loop_turn(&self.board.loop, longest)
        return [(self.board.notes[at].index, self.board.notes[at].events) for at in range(self.board.note_count)]

    @property
    def now(self) -> int:
        return self.board.loop.now

    @property
    def seen(self) -> int:
        """What LOOK saw."""
        return self.board.seen
