"""What a block of shared memory has counted, by the names of its fields: what another layout can be seeded from.

Whatever is in the structures of `shared.pxd` is exported: Cython itself names their members, so a new field needs no
line here. The form is JSON's, and means the same in every version that takes over from another in the same way:

    lanes        {field: sum over the lanes' headers}, gauges and what a lane has for itself too
    clusters     a list of ClusterStats, added up over the lanes; `slot` and `generation` say whose they are
    endpoints    a list of EndpointStats, likewise
    series       a list of Series, likewise; a histogram is {count, sum, buckets: {nanoseconds: count}}
    policies     a list of PolicyStats, likewise
    grpc         a list of GrpcStats, likewise

Called by the process that keeps a former program's memory, so by code of the version that laid it out.
"""
from tulle._fast.base.grpc_stats cimport GRPC_SLOTS, GrpcStats, grpc_read, lane_grpc
from tulle._fast.base.histogram cimport HISTOGRAM_OCTAVES, HISTOGRAM_STEPS, histogram_counter, histogram_middle
from tulle._fast.base.shared cimport (
    POLICY_SLOTS, ClusterStats, EndpointStats, Lane, Series, lane_cluster, lane_endpoint, shared_lane,
)
from tulle._fast.base.stats cimport Stats, cluster_stats_size, endpoint_stats_size, shared_offset, slot_after
from tulle._fast.base.sweep cimport SeriesKey, series_is, series_key
from tulle._fast.base.types cimport uint32_t, uint64_t

GRPC_IDS = ("listener", "route", "cluster", "cluster_generation", "name")


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
        "policies": policies(stats, lanes),
        "grpc": grpc(stats, lanes),
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


def policies(Stats stats, list lanes) -> list[dict[str, object]]:
    cdef uint32_t slot
    cdef Lane *lane
    sums: dict[int, dict[str, object]] = {}
    for number in lanes:
        lane = shared_lane(stats.shared, number)
        for slot in range(POLICY_SLOTS):
            if lane.policies[slot].policy != 0:
                counted: dict = lane.policies[slot]
                policy = counted.pop("policy")
                add(sums.setdefault(policy, {"policy": policy}), counted)
    return list(sums.values())


def grpc(Stats stats, list lanes) -> list[dict[str, object]]:
    cdef uint64_t slot, begin, end
    cdef GrpcStats *found
    cdef GrpcStats read
    sums: dict[tuple[int, ...], dict[str, object]] = {}
    for number in lanes:
        found = lane_grpc(shared_lane(stats.shared, number))
        for begin, end in stats.extents(
            shared_offset(stats.shared, found), <uint64_t>GRPC_SLOTS * sizeof(GrpcStats)
        ):
            for slot in range(begin // sizeof(GrpcStats), slot_after(end, sizeof(GrpcStats), GRPC_SLOTS)):
                if grpc_read(&found[slot], &read):
                    counted: dict = read
                    ids = {name: counted.pop(name) for name in ("used", *GRPC_IDS)}
                    add(sums.setdefault(tuple(ids.values()), ids), counted)
    return list(sums.values())


def series(Stats stats, list lanes) -> list[dict[str, object]]:
    cdef SeriesKey about
    cdef Series *found
    cdef Lane *lane
    sums: dict[tuple[int, ...], dict[str, object]] = {}
    for number in lanes:
        lane = shared_lane(stats.shared, number)
        for offset in stats.series_offsets(number):
            found = <Series *>(<char *>lane + lane.arena + <uint64_t>offset)
            if not series_key(found, &about):
                continue
            counted: dict = found[0]
            for name in [name for name, value in counted.items() if isinstance(value, dict)]:
                counted[name] = by_value(stats, number, counted[name])
            if not series_is(found, &about):
                continue
            ids: dict = about
            for name in ids:
                del counted[name]
            add(sums.setdefault(tuple(ids.values()), ids), counted)
    return list(sums.values())


def by_value(Stats stats, uint32_t number, dict histogram) -> dict[str, object]:
    """A histogram with the middles of its buckets in place of octaves and steps."""
    cdef Lane *lane = shared_lane(stats.shared, number)
    cdef const char *arena = <const char *>lane + lane.arena
    cdef uint32_t octave, step, place
    cdef uint64_t count
    buckets = {}
    for octave in range(HISTOGRAM_OCTAVES):
        place = histogram["octaves"][octave]
        if place != 0:
            for step in range(HISTOGRAM_STEPS):
                count = histogram_counter(arena, place, step)
                if count != 0:
                    buckets[histogram_middle(octave, step)] = count
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
