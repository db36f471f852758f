"""What a block of shared memory has counted, by the names of its fields: what another layout can be seeded from.

Whatever is in the structures of `shared.pxd` is exported: Cython itself names their members, so a new field needs no
line here. The form is JSON's, and means the same in every version that takes over from another in the same way:

    lanes        {field: sum over the lanes' headers}, gauges and what a lane has for itself too
    clusters     a list of ClusterStats, added up over the lanes; `slot` and `generation` say whose they are
    endpoints    a list of EndpointStats, likewise
    series       a list of Series, likewise; a histogram is {count, sum, buckets: {nanoseconds: count}}

Called by the process that keeps a former program's memory, so by code of the version that laid it out.
"""
from tulle._fast.base.histogram cimport HISTOGRAM_OCTAVES, HISTOGRAM_STEPS, histogram_middle
from tulle._fast.base.shared cimport (
    SERIES_SLOTS, ClusterStats, EndpointStats, Lane, Series, lane_cluster, lane_endpoint, shared_lane,
)
from tulle._fast.base.stats cimport Stats, cluster_stats_size, endpoint_stats_size, shared_offset, slot_after
from tulle._fast.base.types cimport uint32_t, uint64_t


def export(Stats stats, without=()) -> dict[str, object]:
    """Everything that the lanes have counted, but for those `without`."""
    lanes = [lane for lane in range(stats.lanes_used) if lane not in without]
    header: dict[str, object] = {}
    for lane in lanes:
        add(header, stats.lane(lane))
    return {
        "lanes": header,
        "clusters": clusters(stats, lanes),
        "endpoints": endpoints(stats, lanes),
        "series": series(stats, lanes),
    }


def clusters(Stats stats, list lanes) -> list[dict[str, object]]:
    cdef uint64_t slot, begin, end
    cdef ClusterStats *found
    sums: dict[tuple[int, int], dict[str, object]] = {}
    for lane in lanes:
        found = lane_cluster(shared_lane(stats.shared, lane), 0)
        for begin, end in stats.extents(shared_offset(stats.shared, found), cluster_stats_size(stats.shared)):
            for slot in range(
                begin // sizeof(ClusterStats), slot_after(end, sizeof(ClusterStats), stats.shared.cluster_capacity)
            ):
                if found[slot].generation != 0:
                    add_owned(sums, slot, found[slot])
    return list(sums.values())


def endpoints(Stats stats, list lanes) -> list[dict[str, object]]:
    cdef uint64_t slot, begin, end
    cdef EndpointStats *found
    sums: dict[tuple[int, int], dict[str, object]] = {}
    for lane in lanes:
        found = lane_endpoint(shared_lane(stats.shared, lane), 0)
        for begin, end in stats.extents(shared_offset(stats.shared, found), endpoint_stats_size(stats.shared)):
            for slot in range(
                begin // sizeof(EndpointStats), slot_after(end, sizeof(EndpointStats), stats.shared.endpoint_capacity)
            ):
                if found[slot].generation != 0:
                    add_owned(sums, slot, found[slot])
    return list(sums.values())


def series(Stats stats, list lanes) -> list[dict[str, object]]:
    cdef uint64_t slot, begin, end
    cdef uint32_t *index
    cdef Series *found
    cdef Lane *lane
    sums: dict[tuple[int, ...], dict[str, object]] = {}
    for number in lanes:
        lane = shared_lane(stats.shared, number)
        index = <uint32_t *>(<char *>lane + lane.series_index)
        for begin, end in stats.extents(shared_offset(stats.shared, index), <uint64_t>SERIES_SLOTS * 4):
            for slot in range(begin // 4, slot_after(end, 4, SERIES_SLOTS)):
                if index[slot] == 0:
                    continue
                found = <Series *>(<char *>lane + lane.arena + <uint64_t>index[slot] * 8)
                counted: dict = found[0]
                ids = {name: counted.pop(name) for name in ("listener", "route", "cluster", "cluster_generation")}
                for name in [name for name, value in counted.items() if isinstance(value, dict)]:
                    counted[name] = by_value(stats, number, counted[name])
                add(sums.setdefault(tuple(ids.values()), ids), counted)
    return list(sums.values())


def by_value(Stats stats, uint32_t number, dict histogram) -> dict[str, object]:
    """A histogram with the middles of its buckets in place of octaves and steps."""
    cdef Lane *lane = shared_lane(stats.shared, number)
    cdef uint64_t *steps
    cdef int octave, step
    buckets = {}
    for octave in range(HISTOGRAM_OCTAVES):
        if histogram["octaves"][octave] != 0:
            steps = <uint64_t *>(<char *>lane + lane.arena + <uint64_t>histogram["octaves"][octave] * 8)
            for step in range(HISTOGRAM_STEPS):
                if steps[step] != 0:
                    buckets[histogram_middle(<uint32_t>octave, <uint32_t>step)] = steps[step]
    return {"count": histogram["count"], "sum": histogram["sum"], "buckets": buckets}


def add_owned(dict sums, slot: int, dict counted) -> None:
    """Add to what this owner of a slot has counted in other lanes."""
    generation = counted.pop("generation")
    add(sums.setdefault((slot, generation), {"slot": slot, "generation": generation}), counted)


def add(dict total, dict counted) -> None:
    """Numbers to numbers of the same name, lists and groups of them likewise."""
    for name, value in counted.items():
        known = total.get(name)
        if isinstance(value, dict):
            add(total.setdefault(name, {}), value)
        elif isinstance(value, list):
            total[name] = [one + other for one, other in zip(known, value)] if known else value
        else:
            total[name] = value if known is None else known + value
