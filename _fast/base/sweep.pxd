"""Freeing what was counted of names that have gone: series of a lane, and its entries of gRPC calls.

Renamed or removed listeners, routes and clusters never come back under the same numbers. The master says which numbers
live once no table in use has any other, and the lane's own worker, who alone writes there, does the work in small
steps:

    clear     the index that is not in use leads nowhere; series that an interrupted sweep had left are freed
    copy      living series are entered into that index, the others marked as dead. What is made meanwhile in a part of
              the index in use that was copied already is entered into both, see `series_make`
    swap      the other index is the one in use: two stores
    clear     as at first: the former index leads nowhere, and the dead, which only it has led to, are freed
    calls     entries of gRPC calls are left

A worker that is killed between any two instructions leaves an index in use that is whole, and another that the next
sweep of this lane clears; a series that it was about to free may be lost as memory. Pages of an index that was cleared
go back to the system.

**Who reads** series while their lane's worker frees some looks at `series_swaps` and `series_index` before and after
it walks the index, and begins anew when they have changed. It takes what it has read of a series only if that was
about the same before and after (`series_key`, `series_is`): a block becomes another series' only by way of SERIES_DEAD.

**The numbers that live** are a sealed memfd of words: for listeners, routes and generations of clusters a count and a
horizon each, then their numbers, rising. A number above its horizon is newer than the set, and lives.
"""
from tulle._fast.base.atomic cimport atomic_fence_acquire, atomic_load_acquire_u32
from tulle._fast.base.shared cimport SERIES_DEAD, Lane, Series, SharedHeader
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef struct SeriesKey:
    uint32_t listener
    uint32_t route
    uint32_t cluster
    uint32_t cluster_generation

cdef inline bint series_key(const Series *series, SeriesKey *key) noexcept nogil:
    """What a series is about; False: about nothing."""
    key.listener = atomic_load_acquire_u32(&series.listener)
    key.route = series.route
    key.cluster = series.cluster
    key.cluster_generation = series.cluster_generation
    return key.listener != <uint32_t>SERIES_DEAD

cdef inline bint series_is(const Series *series, const SeriesKey *key) noexcept nogil:
    """Whether it is about this, and so what was read of it in between."""
    atomic_fence_acquire()
    return (
        series.listener == key.listener
        and series.route == key.route
        and series.cluster == key.cluster
        and series.cluster_generation == key.cluster_generation
    )

cdef struct LiveNumbers:               # of one kind
    const uint32_t *numbers            # rising
    uint32_t count
    uint32_t horizon

cdef enum SweepPhase:
    SWEEP_DONE = 0
    SWEEP_CLEAR_FIRST
    SWEEP_COPY
    SWEEP_CLEAR
    SWEEP_CALLS

cdef struct Sweep:
    SharedHeader *shared
    Lane *lane
    int memory                         # descriptor of the shared memory
    void *block                        # the mapped memfd; NULL: none
    uint64_t size
    LiveNumbers listeners
    LiveNumbers routes
    LiveNumbers generations            # of clusters
    uint32_t phase                     # SweepPhase
    uint32_t slot                      # of what the phase walks, the next
    uint32_t data_end                  # the first slot after it that may lie in a hole
    uint32_t living                    # series that were copied

cdef void sweep_init(Sweep *sweep, SharedHeader *shared, Lane *lane, int memory) noexcept nogil
# Begin a sweep, in place of one that is under way; closes the descriptor of the numbers. False when it makes no sense
cdef bint sweep_begin(Sweep *sweep, int numbers) noexcept nogil
# Go on, for at most so many series; whether there is more to do
cdef bint sweep_step(Sweep *sweep, uint32_t most) noexcept nogil
# Let go of the numbers
cdef void sweep_end(Sweep *sweep) noexcept nogil
