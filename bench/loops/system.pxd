"""The system calls that the bench's loops use, and the few lines that all of them would repeat.

The loops import nothing of Tulle: the floor that Tulle is measured against must not move when Tulle changes.
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void *ptr
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags) noexcept
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event) noexcept
    int epoll_wait(int epoll, epoll_event *events, int count, int timeout) noexcept
    int EPOLL_CTL_ADD
    uint32_t EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR
    uint32_t ALL_EDGES "(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)"

cdef extern from "<sys/socket.h>" nogil:
    cdef struct sockaddr:
        pass
    int socket(int family, int kind, int protocol) noexcept
    int accept4(int fd, sockaddr *address, void *length, int flags) noexcept
    int connect(int fd, const sockaddr *address, uint32_t length) noexcept
    int shutdown(int fd, int how) noexcept
    int setsockopt(int fd, int level, int option, const void *value, uint32_t length) noexcept
    ssize_t recv(int fd, void *data, size_t size, int flags) noexcept
    ssize_t send(int fd, const void *data, size_t size, int flags) noexcept
    int AF_INET, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_NOSIGNAL, MSG_MORE, SHUT_WR

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        uint32_t s_addr
    cdef struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    uint16_t htons(uint16_t value) noexcept
    uint32_t htonl(uint32_t value) noexcept
    uint32_t INADDR_LOOPBACK
    int IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

cdef extern from "<sys/timerfd.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    cdef struct itimerspec:
        timespec it_interval
        timespec it_value
    int timerfd_create(int clock, int flags) noexcept
    int timerfd_settime(int fd, int flags, const itimerspec *new, itimerspec *old) noexcept
    int clock_gettime(int clock, timespec *result) noexcept
    int CLOCK_MONOTONIC, TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME

cdef extern from "<unistd.h>" nogil:
    int close(int fd) noexcept
    ssize_t read(int fd, void *data, size_t size) noexcept

cdef extern from "<string.h>" nogil:
    void *memmem(const void *data, size_t size, const void *needle, size_t needle_size) noexcept

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size) noexcept

cdef enum:
    EVENTS_AT_ONCE = 256

cdef inline uint64_t now() noexcept nogil:
    """Monotonic time in nanoseconds."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <uint64_t>time.tv_sec * 1000000000 + <uint64_t>time.tv_nsec

cdef inline int watch(int epoll, int fd, void *owner, uint32_t events) noexcept nogil:
    cdef epoll_event event
    event.events = events
    event.data.ptr = owner
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)

cdef inline void send_at_once(int fd) noexcept nogil:
    cdef int one = 1
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))

cdef inline int connect_loopback(uint16_t port) noexcept nogil:
    """A non-blocking connection to 127.0.0.1 that may still be under way, or -1."""
    cdef sockaddr_in address
    cdef int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return -1
    send_at_once(fd)
    address.sin_family = <uint16_t>AF_INET
    address.sin_port = htons(port)
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    connect(fd, <sockaddr *>&address, sizeof(address))     # its outcome comes as an event
    return fd

cdef inline int every(uint64_t nanoseconds) noexcept nogil:
    """A timer descriptor that fires once every so many nanoseconds, or -1."""
    cdef itimerspec times
    cdef int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
    if fd < 0:
        return -1
    times.it_interval.tv_sec = <long>(nanoseconds // 1000000000)
    times.it_interval.tv_nsec = <long>(nanoseconds % 1000000000)
    times.it_value = times.it_interval
    timerfd_settime(fd, 0, &times, NULL)
    return fd

cdef inline void wake_at(int timer, uint64_t time) noexcept nogil:
    """Have the timer fire once, when the monotonic time is this; what it was set to before is forgotten."""
    cdef itimerspec times
    times.it_interval.tv_sec = 0
    times.it_interval.tv_nsec = 0
    times.it_value.tv_sec = <long>(time // 1000000000)
    times.it_value.tv_nsec = <long>(time % 1000000000)
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &times, NULL)

cdef inline uint64_t fired(int timer) noexcept nogil:
    """How often the timer has fired since it was last asked."""
    cdef uint64_t times = 0
    if read(timer, &times, sizeof(times)) != sizeof(times):
        return 0
    return times
