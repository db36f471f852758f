"""See `ring_writer.pxd`."""
from libc.string cimport memcpy

from tulle._fast.base.atomic cimport (
    atomic_exchange_u32, atomic_load_acquire_u64, atomic_load_u32, atomic_store_u64,
)
from tulle._fast.base.types cimport uint64_t, unlikely

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int fd, const void *data, size_t length) noexcept


cdef bint ring_append(SharedHeader *shared, Lane *lane, const char *line, uint32_t length, int wake_fd) noexcept nogil:
    cdef uint64_t head = lane.header.ring_head
    cdef uint64_t tail = atomic_load_acquire_u64(&lane.header.ring_tail)
    cdef uint64_t at = head & (shared.ring_size - 1)
    cdef uint64_t first = shared.ring_size - at
    cdef char *ring = <char *>lane + lane.ring
    cdef uint64_t one = 1
    if unlikely(head - tail + length > shared.ring_size):
        lane.header.log_dropped += 1
        return False
    if first > length:
        first = length
    memcpy(ring + at, line, first)
    memcpy(ring, line + first, length - first)
    # Sequentially consistent, so that either the logger sees the line or we see that it sleeps
    atomic_store_u64(&lane.header.ring_head, head + length)
    lane.header.log_lines += 1
    if unlikely(atomic_load_u32(&shared.log_waiting) != 0) and atomic_exchange_u32(&shared.log_waiting, 0) != 0:
        write(wake_fd, &one, sizeof(one))
    return True
