"""See `priority.pxd`."""


cdef inline double health_of(const PriorityLevel *level) noexcept nogil:
    cdef double health = overprovisioned(level.usable / level.total) if level.total > 0 else 0
    return health if health < 1 else 1


cdef void spread_by_size(PriorityLevel *levels, uint32_t count) noexcept nogil:
    cdef double total = 0
    cdef uint32_t index
    for index in range(count):
        total += levels[index].total
    for index in range(count):
        levels[index].load = levels[index].total / total if total > 0 else 0


cdef void priority_spread(PriorityLevel *levels, uint32_t count, uint32_t threshold) noexcept nogil:
    cdef double carried = 0
    cdef double left = 1
    cdef double well
    cdef uint32_t index
    cdef bint enough
    cdef bint all_panic = True
    for index in range(count):
        carried += health_of(&levels[index])
    # Sums of parts are a little off: what can just be carried is enough
    enough = carried > 1 - 1e-9
    for index in range(count):
        levels[index].load = health_of(&levels[index]) / (carried if 0 < carried < 1 else 1)
        if levels[index].load > left:
            levels[index].load = left
        left -= levels[index].load
        well = levels[index].usable + levels[index].resting
        levels[index].panic = not enough and well * 100 < levels[index].total * threshold
        if levels[index].total > 0 and not levels[index].panic:
            all_panic = False
    if all_panic:
        spread_by_size(levels, count)
