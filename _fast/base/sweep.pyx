"""See `sweep.pxd`. Called by a lane's worker, by a timer; nothing that serves requests waits for it."""
from libc.string cimport memset

from tulle._fast.base.atomic cimport (
    atomic_exchange_u32, atomic_fetch_add_u32, atomic_store_release_u32, atomic_store_u64,
)
from tulle._fast.base.grpc_stats cimport GRPC_SLOTS, GRPC_USED, GrpcStats, lane_grpc, lane_grpc_leave
from tulle._fast.base.histogram cimport HISTOGRAM_OCTAVES, HISTOGRAM_STEPS, HISTOGRAM_WIDE, Histogram
from tulle._fast.base.shared cimport (
    BLOCK_NARROW, BLOCK_SERIES, BLOCK_WIDE, SERIES_SLOTS, arena_give, lane_other_index, series_enter,
)

cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int madvise(void *address, size_t length, int advice) noexcept
    int PROT_READ, MAP_SHARED, MADV_REMOVE
    void *MAP_FAILED

cdef extern from "<unistd.h>" nogil:
    long lseek(int fd, long offset, int whence) noexcept
    int close(int fd) noexcept
    int SEEK_END, SEEK_DATA, SEEK_HOLE

cdef enum:
    KINDS = 3
    HEAD_WORDS = 2 * KINDS             # a count and a horizon for each
    INDEX_BYTES = SERIES_SLOTS * 4
    SLOTS_A_SERIES = 16                # so many empty slots are looked at in the time that a series takes


cdef void sweep_init(Sweep *sweep, SharedHeader *shared, Lane *lane, int memory) noexcept nogil:
    memset(sweep, 0, sizeof(Sweep))
    sweep.shared = shared
    sweep.lane = lane
    sweep.memory = memory


cdef void sweep_end(Sweep *sweep) noexcept nogil:
    if sweep.block != NULL:
        munmap(sweep.block, sweep.size)
        sweep.block = NULL
    sweep.phase = SWEEP_DONE


cdef bint numbers_open(Sweep *sweep) noexcept nogil:
    """Whether the memfd holds what its counts say."""
    cdef const uint32_t *words = <const uint32_t *>sweep.block
    cdef LiveNumbers *kinds[3]
    cdef uint64_t used = HEAD_WORDS
    cdef int kind
    if sweep.size < HEAD_WORDS * sizeof(uint32_t):
        return False
    kinds[0], kinds[1], kinds[2] = &sweep.listeners, &sweep.routes, &sweep.generations
    for kind in range(KINDS):
        kinds[kind].count = words[2 * kind]
        kinds[kind].horizon = words[2 * kind + 1]
        kinds[kind].numbers = words + used
        used += words[2 * kind]
    return used * sizeof(uint32_t) == sweep.size


cdef bint sweep_begin(Sweep *sweep, int numbers) noexcept nogil:
    cdef long size = lseek(numbers, 0, SEEK_END)
    sweep_end(sweep)
    sweep.lane.series_copied = 0
    if size > 0:
        sweep.size = <uint64_t>size
        sweep.block = mmap(NULL, sweep.size, PROT_READ, MAP_SHARED, numbers, 0)
        if sweep.block == MAP_FAILED:
            sweep.block = NULL
    close(numbers)
    if sweep.block == NULL or not numbers_open(sweep):
        sweep_end(sweep)
        return False
    sweep.phase = SWEEP_CLEAR_FIRST
    sweep.slot = sweep.data_end = 0
    return True


cdef bint lives(const LiveNumbers *kind, uint32_t number) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = kind.count
    cdef uint32_t middle
    if number == 0 or number > kind.horizon:
        return True
    while low < high:
        middle = low + (high - low) // 2
        if kind.numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low < kind.count and kind.numbers[low] == number


cdef inline bint all_live(const Sweep *sweep, uint32_t listener, uint32_t route, uint32_t generation) noexcept nogil:
    return (
        lives(&sweep.listeners, listener)
        and lives(&sweep.routes, route)
        and lives(&sweep.generations, generation)
    )


cdef bint find_data(Sweep *sweep, uint64_t region, uint64_t unit, uint32_t count) noexcept nogil:
    """Step over holes, which reading would fill: `slot` is one of `count`, each of `unit` bytes; False: no more."""
    cdef uint64_t start = <uint64_t>(<char *>sweep.lane - <char *>sweep.shared) + region
    cdef uint64_t end = start + count * unit
    cdef uint64_t begin, after
    cdef long found
    if sweep.slot < sweep.data_end:
        return True
    if sweep.slot >= count:
        return False
    found = lseek(sweep.memory, <long>(start + sweep.slot * unit), SEEK_DATA)
    if found < 0 or <uint64_t>found >= end:
        return False
    begin = (<uint64_t>found - start) // unit
    after = (<uint64_t>lseek(sweep.memory, found, SEEK_HOLE) - start + unit - 1) // unit
    if begin > sweep.slot:
        sweep.slot = <uint32_t>begin
    sweep.data_end = <uint32_t>after if after < count else count
    return True


cdef void histogram_free(Lane *lane, const Histogram *histogram) noexcept nogil:
    cdef const char *arena = <const char *>lane + lane.arena
    cdef uint64_t offset
    cdef uint32_t octave, place
    for octave in range(HISTOGRAM_OCTAVES):
        place = histogram.octaves[octave]
        if place == 0:
            continue
        offset = <uint64_t>(place & ~<uint32_t>HISTOGRAM_WIDE) * 8
        if place & HISTOGRAM_WIDE:
            arena_give(lane, BLOCK_NARROW, (<const uint64_t *>(arena + offset))[<int>HISTOGRAM_STEPS] * 8)
            arena_give(lane, BLOCK_WIDE, offset)
        else:
            arena_give(lane, BLOCK_NARROW, offset)


cdef void sweep_clear(Sweep *sweep, uint32_t most) noexcept nogil:
    cdef Lane *lane = sweep.lane
    cdef uint64_t region = lane_other_index(lane)
    cdef uint32_t *slots = <uint32_t *>(<char *>lane + region)
    cdef uint64_t offset
    cdef Series *series
    cdef uint32_t work = 0
    while work < most * <uint32_t>SLOTS_A_SERIES:
        if not find_data(sweep, region, sizeof(uint32_t), SERIES_SLOTS):
            if madvise(slots, INDEX_BYTES, MADV_REMOVE) < 0:
                memset(slots, 0, INDEX_BYTES)
            sweep.phase = SWEEP_COPY if sweep.phase == SWEEP_CLEAR_FIRST else SWEEP_CALLS
            sweep.slot = sweep.data_end = sweep.living = lane.series_both = 0
            return
        work += 1
        if slots[sweep.slot] != 0:
            work += SLOTS_A_SERIES
            offset = <uint64_t>slots[sweep.slot] * 8
            series = <Series *>(<char *>lane + lane.arena + offset)
            if series.listener == SERIES_DEAD:
                atomic_store_release_u32(&slots[sweep.slot], 0)      # first, so that nobody frees it again
                histogram_free(lane, &series.duration)
                histogram_free(lane, &series.upstream)
                arena_give(lane, BLOCK_SERIES, offset)
                lane.header.series_freed += 1
        sweep.slot += 1


cdef void sweep_swap(Sweep *sweep) noexcept nogil:
    cdef Lane *lane = sweep.lane
    lane.series_copied = 0
    lane.header.series_count = sweep.living + lane.series_both
    atomic_store_u64(&lane.series_index, lane_other_index(lane))
    atomic_fetch_add_u32(&lane.series_swaps, 1)


cdef void sweep_copy(Sweep *sweep, uint32_t most) noexcept nogil:
    cdef Lane *lane = sweep.lane
    cdef const uint32_t *slots = <const uint32_t *>(<char *>lane + lane.series_index)
    cdef Series *series
    cdef uint32_t work = 0
    while work < most * <uint32_t>SLOTS_A_SERIES:
        if not find_data(sweep, lane.series_index, sizeof(uint32_t), SERIES_SLOTS):
            sweep_swap(sweep)
            sweep.phase = SWEEP_CLEAR
            sweep.slot = sweep.data_end = 0
            return
        work += 1
        if slots[sweep.slot] != 0:
            work += SLOTS_A_SERIES
            series = <Series *>(<char *>lane + lane.arena + <uint64_t>slots[sweep.slot] * 8)
            if series.listener != SERIES_DEAD:
                if all_live(sweep, series.listener, series.route, series.cluster_generation):
                    series_enter(lane, lane_other_index(lane), slots[sweep.slot])
                    sweep.living += 1
                else:
                    atomic_exchange_u32(&series.listener, SERIES_DEAD)
        sweep.slot += 1
        lane.series_copied = sweep.slot


cdef void sweep_calls(Sweep *sweep, uint32_t most) noexcept nogil:
    cdef Lane *lane = sweep.lane
    cdef GrpcStats *entries = lane_grpc(lane)
    cdef GrpcStats *entry
    cdef uint32_t _work
    for _work in range(most):
        if not find_data(sweep, lane.grpc_stats, sizeof(GrpcStats), GRPC_SLOTS):
            sweep_end(sweep)
            return
        entry = &entries[sweep.slot]
        if entry.used == GRPC_USED and not all_live(sweep, entry.listener, entry.route, entry.cluster_generation):
            lane_grpc_leave(lane, sweep.slot)
        sweep.slot += 1


cdef bint sweep_step(Sweep *sweep, uint32_t most) noexcept nogil:
    if sweep.phase == SWEEP_CLEAR_FIRST or sweep.phase == SWEEP_CLEAR:
        sweep_clear(sweep, most)
    elif sweep.phase == SWEEP_COPY:
        sweep_copy(sweep, most)
    elif sweep.phase == SWEEP_CALLS:
        sweep_calls(sweep, most)
    return sweep.phase != SWEEP_DONE
