"""See `mapping.pxd`. The Python border."""
import os

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void *address, size_t length, int advice) noexcept

cdef enum:
    COLLAPSE = 25                      # MADV_COLLAPSE of Linux 6.1, which older headers do not name


def collapse(int descriptor) -> None:
    """Have the system keep a file of memory in huge pages, as far as it fills them. Without an effect if it cannot."""
    cdef size_t size = os.fstat(descriptor).st_size
    cdef void *block
    if size < HUGE_PAGE:
        return
    block = map_to_read(descriptor, size)
    if block != MAP_FAILED:
        madvise(block, size, COLLAPSE)
        munmap(block, size)
