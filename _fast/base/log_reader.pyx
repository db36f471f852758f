"""See `log_reader.pxd`."""
from libc.errno cimport EINTR, errno

from tulle._fast.base.shared cimport Lane, SharedHeader, shared_lane
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport int64_t, uint32_t, uint64_t

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t writev(int fd, const iovec *parts, int count) noexcept

cdef extern from *:
    """
    #define tulle_load_acquire(pointer) __atomic_load_n(pointer, __ATOMIC_ACQUIRE)
    #define tulle_store_release(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_RELEASE)
    #define tulle_exchange(pointer, value) __atomic_exchange_n(pointer, value, __ATOMIC_SEQ_CST)
    """
    uint64_t load_acquire_u64 "tulle_load_acquire"(const uint64_t *pointer) noexcept nogil
    void store_release_u64 "tulle_store_release"(uint64_t *pointer, uint64_t value) noexcept nogil
    uint32_t exchange_u32 "tulle_exchange"(uint32_t *pointer, uint32_t value) noexcept nogil


cdef inline uint64_t ring_waiting(Lane *lane) noexcept nogil:
    """Bytes that can be taken."""
    return load_acquire_u64(&lane.header.ring_head) - lane.header.ring_tail


cdef int64_t ring_write(SharedHeader *shared, Lane *lane, int fd) noexcept nogil:
    cdef uint64_t waiting = ring_waiting(lane)
    cdef uint64_t start = lane.header.ring_tail & (shared.ring_size - 1)
    cdef uint64_t to_end = shared.ring_size - start
    cdef char *ring = <char *>lane + lane.ring
    cdef iovec parts[2]
    cdef ssize_t taken
    if waiting == 0:
        return 0
    parts[0].iov_base = ring + start
    parts[0].iov_len = waiting if waiting < to_end else to_end
    parts[1].iov_base = ring
    parts[1].iov_len = waiting - parts[0].iov_len
    while True:
        taken = writev(fd, parts, 2 if parts[1].iov_len else 1)
        if taken >= 0:
            store_release_u64(&lane.header.ring_tail, lane.header.ring_tail + <uint64_t>taken)
            return taken
        if errno != EINTR:
            return -1


cdef int64_t rings_write(SharedHeader *shared, int fd) noexcept nogil:
    cdef uint32_t index
    cdef int64_t taken, total = 0
    for index in range(shared.lanes_used):
        taken = ring_write(shared, shared_lane(shared, index), fd)
        if taken < 0:
            return total if total else -1
        total += taken
    return total


def drain(Stats stats, int fd) -> int:
    """Write what the lanes hold to a descriptor, once each; the bytes written.

    OSError of the write when it took nothing. Blocks, without the GIL, as long as the descriptor does.
    """
    cdef int64_t taken
    with nogil:
        taken = rings_write(stats.shared, fd)
    if taken < 0:
        raise OSError(errno, "the access log cannot be written")
    return taken


def waiting(Stats stats) -> int:
    """Bytes in all the rings."""
    cdef uint32_t index
    cdef uint64_t total = 0
    for index in range(stats.shared.lanes_used):
        total += ring_waiting(shared_lane(stats.shared, index))
    return total


def set_waiting(Stats stats, bint sleeps) -> None:
    """Say whether workers must write to the logger's eventfd after they have appended.

    Sequentially consistent: ask `waiting` after saying so and before sleeping, and no line is slept through.
    """
    exchange_u32(&stats.shared.log_waiting, sleeps)
