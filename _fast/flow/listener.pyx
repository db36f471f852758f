"""See `listener.pxd`."""
from libc.stdlib cimport calloc, free

from tulle._fast.base.clock cimport MILLISECOND
from tulle._fast.base.list cimport Node, list_append, list_empty, list_remove
from tulle._fast.base.shared cimport LANE_RUNNING, Lane, shared_lane
from tulle._fast.base.timer cimport Timer, timer_init, timer_remove, timer_set
from tulle._fast.base.types cimport likely, uint64_t, unlikely
from tulle._fast.flow.exchange cimport listener_find
from tulle._fast.flow.greeting cimport greeting_begin
from tulle._fast.flow.interception cimport interception_learn
from tulle._fast.flow.server_h1 cimport server_accept, server_drain
from tulle._fast.flow.server_tcp cimport tcp_begin
from tulle._fast.flow.table cimport table_tls
from tulle._fast.flow.types cimport Listener, Server, Table
from tulle._fast.flow.wake cimport wake_lane
from tulle._fast.net.loop cimport Loop, Watch, watch_add, watch_delete, watch_init, watch_kill
from tulle._fast.net.system cimport (
    EAGAIN, ECONNABORTED, EINTR, EPOLLEXCLUSIVE, EPOLLIN, POLLIN, SOCK_CLOEXEC, SOCK_NONBLOCK, accept4, close, errno,
    poll, pollfd, sockaddr, sockaddr_storage, socklen_t,
)
from tulle._fast.net.tls cimport tls_displace
from tulle._fast.net.tls_context cimport TLS_DOWNSTREAM
from tulle._fast.policy.image cimport PROTOCOL_TCP, ListenerEntry
from tulle._fast.policy.interception cimport LISTENER_ORIGINAL_DESTINATION
from tulle._fast.policy.limits cimport listener_acquire

cdef enum:
    ACCEPTS_PER_TURN = 8
    ACCEPTS_LAST = 4096                # of a socket that is being closed
    PAUSE = 5                          # milliseconds that a worker above its share, or out of descriptors, stands back
    SLACK = 4                          # connections that a worker may have above the mean


cdef int less_busy_lane(Worker *worker) noexcept nogil:
    """The lane with the fewest connections, when this worker is clearly above the mean of those that run; else -1.

    An eighth and a few connections more than the mean are allowed.
    """
    cdef Lane *lane
    cdef uint64_t total = 0
    cdef uint64_t fewest = 0
    cdef uint32_t running = 0
    cdef uint32_t index
    cdef int found = -1
    cdef uint64_t own = worker.lane.header.downstream_active
    if likely(worker.shared.workers <= 1):
        return -1
    for index in range(worker.shared.lanes_used):
        lane = shared_lane(worker.shared, index)
        if lane.header.state != LANE_RUNNING:
            continue
        total += lane.header.downstream_active
        running += 1
        if index != worker.lane_index and (found < 0 or lane.header.downstream_active < fewest):
            fewest = lane.header.downstream_active
            found = <int>index
    return found if own * running > total + total // 8 + SLACK * running else -1


cdef void listener_watch(Listener *listener) noexcept nogil:
    listener.paused = 0
    watch_add(&listener.watch, EPOLLIN | EPOLLEXCLUSIVE)


cdef void listener_pause(Listener *listener) noexcept nogil:
    if listener.paused:
        return
    listener.paused = 1
    watch_delete(&listener.watch)
    timer_set(
        &listener.worker.loop.timers, &listener.timer, listener.worker.loop.now + <uint64_t>PAUSE * MILLISECOND
    )


cdef void listener_timer(Timer *timer, uint64_t now) noexcept nogil:
    cdef Listener *null = NULL
    cdef Listener *listener = <Listener *>(<char *>timer - <size_t>&null.timer)
    if listener.paused and not listener.watch.dead:
        listener_watch(listener)


cdef bint take_place(Listener *listener, const ListenerEntry *entry) noexcept nogil:
    """A place among the connections of the listener; `server_close` gives it back."""
    return listener_acquire(
        listener.worker.shared, listener.worker.lane_index, listener.id, entry.max_connections if entry != NULL else 0
    )


cdef bint handshakes_are_full(Listener *listener) noexcept nogil:
    """Whether as many handshakes are under way here as its settings allow: the queue keeps who comes now."""
    cdef Worker *worker = listener.worker
    cdef uint32_t under_way = worker.tls.handshaking[<int>TLS_DOWNSTREAM]
    cdef Table *table
    cdef const ListenerEntry *entry
    if likely(under_way == 0):
        return False
    entry = listener_find(worker, listener.id, &table)
    return entry != NULL and entry.tls != 0 and under_way >= table_tls(table, entry.tls).handshake_limit


cdef bint handshake_displaced(Listener *listener) noexcept nogil:
    """Whether somebody waits, and one that stalls has made room: a flood of such clients keeps nobody else out."""
    cdef pollfd waiting
    waiting.fd = listener.watch.fd
    waiting.events = POLLIN
    if poll(&waiting, 1, 0) != 1:
        return False
    return tls_displace(&listener.worker.tls, listener.worker.loop.now)


cdef void listener_event(Watch *watch, uint32_t events) noexcept nogil:
    cdef Listener *listener = <Listener *>watch
    cdef Worker *worker = listener.worker
    cdef int error, other
    cdef int _turn
    for _turn in range(ACCEPTS_PER_TURN):
        other = less_busy_lane(worker)
        if unlikely(other >= 0):
            # The kernel woke this worker alone: the one that stands in for it has to be told
            worker.lane.header.accept_paused += 1
            wake_lane(worker, other)
            listener_pause(listener)
            return
        if unlikely(handshakes_are_full(listener)) and not handshake_displaced(listener):
            worker.lane.header.accept_paused += 1
            listener_pause(listener)
            return
        error = accept_one(listener)
        if error == EAGAIN:
            return
        if unlikely(error != 0):
            # Out of descriptors or memory: the queue keeps the connections until some are free
            worker.lane.header.accept_failures += 1
            listener_pause(listener)
            return


cdef int accept_one(Listener *listener) noexcept nogil:
    """0, or why there is none: EAGAIN when nobody waits."""
    cdef Worker *worker = listener.worker
    cdef sockaddr_storage address
    cdef socklen_t length = sizeof(address)
    cdef int fd = accept4(listener.watch.fd, <sockaddr *>&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)
    cdef const ListenerEntry *entry
    cdef Server *server
    cdef Table *table
    if fd < 0:
        return 0 if errno == EINTR or errno == ECONNABORTED else errno
    entry = listener_find(worker, listener.id, &table)
    if unlikely(not take_place(listener, entry)):
        worker.lane.header.accept_overflow += 1
        close(fd)
        return 0
    server = server_accept(worker, listener.id, fd, <sockaddr *>&address, length)
    if unlikely(server != NULL and entry != NULL and entry.flags & LISTENER_ORIGINAL_DESTINATION):
        interception_learn(server)
    if unlikely(entry != NULL and entry.greeting != 0):
        if server != NULL:
            greeting_begin(server, entry, table)
    elif unlikely(server != NULL and entry != NULL and entry.protocol == PROTOCOL_TCP):
        tcp_begin(server, table.image, entry)
    return 0


cdef inline Listener *listener_of(Node *node) noexcept nogil:
    cdef Listener *null = NULL
    return <Listener *>(<char *>node - <size_t>&null.node)


cdef void listener_accept_all(Worker *worker) noexcept nogil:
    cdef Node *node = worker.listeners.next
    cdef Listener *listener
    while node != &worker.listeners:
        listener = listener_of(node)
        node = node.next
        if not listener.paused:
            listener_event(&listener.watch, EPOLLIN)


cdef void listener_bury(Loop *loop, Watch *watch) noexcept nogil:
    free(watch)


cdef int listener_open(Worker *worker, uint32_t listener_id, int fd) noexcept nogil:
    cdef Listener *listener = <Listener *>calloc(1, sizeof(Listener))
    if listener == NULL:
        close(fd)
        return -1
    watch_init(&listener.watch, &worker.loop, fd, listener_event, listener_bury)
    timer_init(&listener.timer, listener_timer)
    listener.worker = worker
    listener.id = listener_id
    list_append(&worker.listeners, &listener.node)
    listener_watch(listener)
    return 0


cdef inline Server *server_of(Node *node) noexcept nogil:
    cdef Server *null = NULL
    return <Server *>(<char *>node - <size_t>&null.node)


cdef void listener_drop(Listener *listener) noexcept nogil:
    """Stop accepting, but let in who has come already; its connections end at their next idle moment."""
    cdef Worker *worker = listener.worker
    cdef Node *node
    cdef Server *server
    cdef int _turn
    for _turn in range(ACCEPTS_LAST):
        if accept_one(listener) != 0:
            break
    node = worker.servers.next
    list_remove(&listener.node)
    timer_remove(&listener.timer)
    watch_delete(&listener.watch)      # others have the socket open: closing it here takes it out of no epoll set
    watch_kill(&listener.watch)
    while node != &worker.servers:
        server = server_of(node)
        node = node.next
        if server.listener_id == listener.id:
            server_drain(server)


cdef void listener_close(Worker *worker, uint32_t listener_id) noexcept nogil:
    cdef Node *node = worker.listeners.next
    cdef Listener *listener
    while node != &worker.listeners:
        listener = listener_of(node)
        node = node.next
        if listener.id == listener_id:
            listener_drop(listener)


cdef void listener_close_all(Worker *worker) noexcept nogil:
    while not list_empty(&worker.listeners):
        listener_drop(listener_of(worker.listeners.next))
