"""Clocks in nanoseconds: monotonic for deadlines and durations, wall time for logs."""
from tulle._fast.base.types cimport int64_t, uint64_t

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int clock_id, timespec *result) noexcept
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME

cdef enum:
    MICROSECOND = 1000
    MILLISECOND = 1000000

cdef inline uint64_t clock_monotonic() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec

cdef inline uint64_t clock_wall() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec
