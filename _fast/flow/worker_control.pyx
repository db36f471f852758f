"""See `worker_control.pxd`; the messages are in `control.pxd`. Without a master the worker drains and leaves."""
from libc.string cimport memcpy, memset

from tulle._fast.base.list cimport Node, list_empty
from tulle._fast.base.shared cimport LANE_DRAINING
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.flow.control cimport (
    CONTROL_DOOR, CONTROL_DRAIN, CONTROL_ENDPOINTS, CONTROL_INSTALL, CONTROL_INSTALLED, CONTROL_LISTEN, CONTROL_QUIT,
    CONTROL_READY, CONTROL_REFUSED, CONTROL_RELEASED, CONTROL_SWEEP, CONTROL_UNLISTEN, CONTROL_UNLISTENED,
    ControlMessage,
)
from tulle._fast.flow.listener cimport listener_accept_all, listener_close, listener_close_all, listener_open
from tulle._fast.flow.pool cimport pool_drain, pool_wake
from tulle._fast.flow.server_h1 cimport server_drain
from tulle._fast.flow.sweeping cimport sweeping_begin
from tulle._fast.flow.table cimport table_install
from tulle._fast.flow.types cimport Server, Table
from tulle._fast.flow.verifier cimport verifier_door
from tulle._fast.net.loop cimport Loop, Watch, watch_add, watch_init
from tulle._fast.net.system cimport (
    CMSG_DATA, CMSG_FIRSTHDR, EAGAIN, EINTR, EPOLLIN, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS,
    SOL_SOCKET, close, cmsghdr, errno, iovec, msghdr, read, recvmsg, send,
)

cdef enum:
    FDS_MAX = 4
    CONTROL_SPACE = 64                 # CMSG_SPACE of FDS_MAX descriptors
    ORPHAN_DRAIN = 30                  # seconds that a worker without a master takes for what it has


cdef void worker_control_tell(
    Worker *worker, uint32_t kind, uint32_t identity, uint64_t version, uint64_t value
) noexcept nogil:
    cdef ControlMessage message
    message.type = kind
    message.id = identity
    message.version = version
    message.value = value
    send(worker.control_fd, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT)


cdef void worker_control_send(Worker *worker, unsigned int kind) noexcept nogil:
    worker_control_tell(worker, kind, 0, 0, 0)


cdef void worker_control_report(Worker *worker) noexcept nogil:
    cdef Table *oldest
    if list_empty(&worker.tables):
        return
    oldest = <Table *>worker.tables.next
    if oldest.serial != worker.reported_release:             # after a reload was taken back it is an older one
        worker.reported_release = oldest.serial
        worker_control_tell(worker, CONTROL_RELEASED, 0, oldest.version, oldest.serial)


cdef void worker_drain(Worker *worker, uint64_t deadline, uint64_t farewell) noexcept nogil:
    """Accept no more, let idle connections go, end the others with their exchange."""
    cdef Node *node
    cdef Server *null = NULL
    cdef Server *server
    worker.draining = True
    worker.drain_deadline = deadline
    worker.farewell_at = farewell
    worker.lane.header.state = LANE_DRAINING
    listener_close_all(worker)
    node = worker.servers.next
    while node != &worker.servers:
        server = <Server *>(<char *>node - <size_t>&null.node)
        node = node.next
        server_drain(server)
    pool_drain(worker)


cdef void control_apply(Worker *worker, const ControlMessage *message, const int *fds, int count) noexcept nogil:
    cdef int routes = -1
    cdef int endpoints = -1
    cdef int tls = -1
    if message.type == CONTROL_INSTALL or message.type == CONTROL_ENDPOINTS:
        if message.type == CONTROL_INSTALL and (count == 2 or count == 3):
            routes = fds[0]
            endpoints = fds[1]
            if count == 3:
                tls = fds[2]
        elif message.type == CONTROL_ENDPOINTS and count == 1:
            endpoints = fds[0]
        if endpoints < 0 or table_install(worker, routes, endpoints, tls, message.version, message.value) < 0:
            worker_control_tell(worker, CONTROL_REFUSED, 0, message.version, message.value)
            return
        worker_control_tell(worker, CONTROL_INSTALLED, 0, message.version, message.value)
        if not worker.ready_sent:
            worker.ready_sent = True
            worker_control_tell(worker, CONTROL_READY, 0, 0, worker.lane.header.pid)
    elif message.type == CONTROL_LISTEN and count == 1:
        listener_open(worker, message.id, fds[0])
    elif message.type == CONTROL_UNLISTEN:
        listener_close(worker, message.id)
        worker_control_tell(worker, CONTROL_UNLISTENED, message.id, 0, 0)
    elif message.type == CONTROL_DRAIN:
        worker_drain(worker, message.value, message.version)
    elif message.type == CONTROL_DOOR and count == 1:
        verifier_door(worker, fds[0])
    elif message.type == CONTROL_SWEEP and count == 1:
        sweeping_begin(worker, fds[0])
    elif message.type == CONTROL_QUIT:
        worker.quitting = True


cdef void control_event(Watch *watch, uint32_t events) noexcept nogil:
    cdef Worker *null = NULL
    cdef Worker *worker = <Worker *>(<char *>watch - <size_t>&null.control)
    cdef ControlMessage message
    cdef char space[64]
    cdef iovec piece
    cdef msghdr header
    cdef cmsghdr *control
    cdef int fds[4]
    cdef int count
    cdef ssize_t got
    while True:
        memset(&header, 0, sizeof(header))
        piece.iov_base = &message
        piece.iov_len = sizeof(message)
        header.msg_iov = &piece
        header.msg_iovlen = 1
        header.msg_control = space
        header.msg_controllen = sizeof(space)
        got = recvmsg(watch.fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
        if got < 0 and (errno == EAGAIN or errno == EINTR):
            return
        if got < <ssize_t>sizeof(message):
            if not worker.draining:
                worker_drain(worker, worker.loop.now + <uint64_t>ORPHAN_DRAIN * 1000000000, worker.loop.now)
            close(watch.fd)
            watch.fd = -1
            worker.control_fd = -1
            return
        count = 0
        control = CMSG_FIRSTHDR(&header)
        if control != NULL and control.cmsg_level == SOL_SOCKET and control.cmsg_type == SCM_RIGHTS:
            count = <int>((control.cmsg_len - (<char *>CMSG_DATA(control) - <char *>control)) // sizeof(int))
            memcpy(fds, CMSG_DATA(control), <size_t>count * sizeof(int))
        control_apply(worker, &message, fds, count)


cdef void wake_event(Watch *watch, uint32_t events) noexcept nogil:
    """Another worker freed a place, or wants one, or leaves a new connection to us."""
    cdef Worker *null = NULL
    cdef Worker *worker = <Worker *>(<char *>watch - <size_t>&null.wake)
    cdef uint64_t count
    read(watch.fd, &count, sizeof(count))
    pool_wake(worker)
    listener_accept_all(worker)


cdef void never_buried(Loop *loop, Watch *watch) noexcept nogil:
    pass


cdef int worker_control_open(Worker *worker) noexcept nogil:
    watch_init(&worker.control, &worker.loop, worker.control_fd, control_event, never_buried)
    watch_init(&worker.wake, &worker.loop, worker.wake_fds[worker.lane_index], wake_event, never_buried)
    if watch_add(&worker.control, EPOLLIN) < 0:
        return -1
    return watch_add(&worker.wake, EPOLLIN)
