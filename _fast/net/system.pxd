"""The system calls of the network floor, as Linux declares them. Owns nothing."""
from tulle._fast.base.types cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "<errno.h>" nogil:
    int errno
    int EAGAIN, EINTR, EINPROGRESS, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPIPE, ECONNRESET
    int ECONNREFUSED, ETIMEDOUT, EPERM, EPROTO

cdef extern from "<unistd.h>" nogil:
    int close(int fd) noexcept
    ssize_t read(int fd, void *data, size_t length) noexcept
    ssize_t write(int fd, const void *data, size_t length) noexcept

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    ctypedef uint32_t socklen_t
    cdef struct sockaddr:
        uint16_t sa_family
    cdef struct sockaddr_storage:
        uint16_t ss_family
    cdef struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    cdef struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    int socket(int domain, int kind, int protocol) noexcept
    int connect(int fd, const sockaddr *address, socklen_t length) noexcept
    int accept4(int fd, sockaddr *address, socklen_t *length, int flags) noexcept
    ssize_t recv(int fd, void *data, size_t length, int flags) noexcept
    ssize_t send(int fd, const void *data, size_t length, int flags) noexcept
    ssize_t sendmsg(int fd, const msghdr *message, int flags) noexcept
    ssize_t recvmsg(int fd, msghdr *message, int flags) noexcept
    int getsockname(int fd, sockaddr *address, socklen_t *length) noexcept
    int shutdown(int fd, int how) noexcept
    int getsockopt(int fd, int level, int name, void *value, socklen_t *length) noexcept
    int setsockopt(int fd, int level, int name, const void *value, socklen_t length) noexcept
    cmsghdr *CMSG_FIRSTHDR(msghdr *message) noexcept
    cmsghdr *CMSG_NXTHDR(msghdr *message, cmsghdr *control) noexcept
    unsigned char *CMSG_DATA(cmsghdr *control) noexcept
    int AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC, SOL_SOCKET, SO_ERROR, SO_LINGER
    int SCM_RIGHTS, SHUT_WR, SHUT_RD, MSG_NOSIGNAL, MSG_DONTWAIT, MSG_PEEK, MSG_CMSG_CLOEXEC, MSG_TRUNC, MSG_MORE

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        uint32_t s_addr
    cdef struct in6_addr:
        uint8_t s6_addr[16]
    cdef struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    cdef struct sockaddr_in6:
        uint16_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    int IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size) noexcept
    int inet_pton(int family, const char *text, void *address) noexcept
    uint16_t ntohs(uint16_t value) noexcept
    uint16_t htons(uint16_t value) noexcept

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void *ptr
        int fd
        uint64_t u64
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags) noexcept
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event) noexcept
    int epoll_wait(int epoll, epoll_event *events, int capacity, int milliseconds) noexcept
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *watched, unsigned long count, int milliseconds) noexcept
    short POLLIN
