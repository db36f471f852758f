"""A lane that counts what a block of another layout has counted: see `export.pyx` for the form.

A field goes by its name: what only the other layout has is left out, what only this one has is 0, and of a list as much
is taken as there is room for. Seeding again with a later export only raises counters, and sets gauges.
"""
from libc.string cimport memset

from tulle._fast.base.grpc_stats cimport GrpcStats, lane_grpc_find
from tulle._fast.base.histogram cimport Histogram, histogram_counter, histogram_octave, histogram_step
from tulle._fast.base.shared cimport (
    POLICY_SLOTS, ClusterStats, EndpointStats, Lane, PolicyStats, Series, histogram_count, lane_cluster, lane_endpoint,
    lane_series, shared_lane,
)
from tulle._fast.base.stats cimport Stats, shared_offset
from tulle._fast.base.types cimport uint32_t, uint64_t

# Of a lane's header: what is about the lane itself, and what limits are summed from: they hold in each memory
OWN = frozenset(
    ("state", "pid", "reserved", "arena_used", "series_count", "ring_head", "ring_tail", "admitted", "memory")
)
NONE = {"count": 0, "sum": 0, "buckets": {}}


def seed(Stats stats, uint32_t lane, dict exported) -> None:
    """Have a lane that no worker uses count this, whatever it counted before."""
    if lane >= stats.shared.lanes_used:
        raise IndexError(f"lane {lane} of {stats.shared.lanes_used}")
    seed_header(stats, lane, exported["lanes"])
    for counted in by_age(exported["clusters"]):
        seed_cluster(stats, lane, counted)
    for counted in by_age(exported["endpoints"]):
        seed_endpoint(stats, lane, counted)
    for counted in exported["series"]:
        seed_series(stats, lane, counted)
    for counted in exported.get("policies", ()):
        seed_policy(stats, lane, counted)
    for counted in exported.get("grpc", ()):
        seed_grpc(stats, lane, counted)


def by_age(list owners) -> list[dict[str, object]]:
    """Of two owners of a slot a lane can count for one: the later comes last, and stays."""
    return sorted(owners, key=lambda owner: owner["generation"])


def fitted(dict own, dict counted) -> dict[str, object]:
    """Our fields, with what the other layout has counted under the same names."""
    for name, value in own.items():
        if isinstance(value, list):
            own[name] = [*counted.get(name, ()), *([0] * len(value))][: len(value)]
        elif not isinstance(value, dict):
            own[name] = counted.get(name, 0)
    return own


def seed_header(Stats stats, uint32_t number, dict counted) -> None:
    cdef Lane *lane = shared_lane(stats.shared, number)
    own = stats.lane(number)
    kept = {name: own[name] for name in OWN}
    lane.header = fitted(own, counted) | kept


def seed_cluster(Stats stats, uint32_t number, dict counted) -> None:
    cdef ClusterStats own
    if counted["slot"] >= stats.shared.cluster_capacity:
        return
    memset(&own, 0, sizeof(own))
    lane_cluster(shared_lane(stats.shared, number), counted["slot"])[0] = fitted(own, counted)


def seed_endpoint(Stats stats, uint32_t number, dict counted) -> None:
    cdef EndpointStats own
    if counted["slot"] >= stats.shared.endpoint_capacity:
        return
    memset(&own, 0, sizeof(own))
    lane_endpoint(shared_lane(stats.shared, number), counted["slot"])[0] = fitted(own, counted)


def seed_policy(Stats stats, uint32_t number, dict counted) -> None:
    cdef PolicyStats *own = &shared_lane(stats.shared, number).policies[counted["policy"] % POLICY_SLOTS]
    if own.policy <= counted["policy"]:
        own[0] = fitted(own[0], counted)


def seed_grpc(Stats stats, uint32_t number, dict counted) -> None:
    cdef Lane *lane = shared_lane(stats.shared, number)
    cdef GrpcStats *own = lane_grpc_find(
        lane, counted["listener"], counted["route"], counted["cluster"], counted["cluster_generation"], counted["name"]
    )
    if own != NULL:
        own[0] = fitted(own[0], counted)


def seed_series(Stats stats, uint32_t number, dict counted) -> None:
    cdef Lane *lane = shared_lane(stats.shared, number)
    cdef uint32_t listener = counted["listener"]
    cdef uint32_t route = counted["route"]
    cdef uint32_t cluster = counted["cluster"]
    cdef uint32_t generation = counted["cluster_generation"]
    cdef Series *series = lane_series(stats.shared, lane, listener, route, cluster, generation)
    if (
        series.listener != listener
        or series.route != route
        or series.cluster != cluster
        or series.cluster_generation != generation
    ):
        return                                   # no room for one of its own
    series[0] = fitted(series[0], counted)
    seed_histogram(stats, number, shared_offset(stats.shared, &series.duration), counted.get("duration", NONE))
    seed_histogram(stats, number, shared_offset(stats.shared, &series.upstream), counted.get("upstream", NONE))


def seed_histogram(Stats stats, uint32_t number, uint64_t offset, dict counted) -> None:
    """The histogram that lies there in the block; a duration counts in the bucket that it is in now."""
    cdef Lane *lane = shared_lane(stats.shared, number)
    cdef Histogram *histogram = <Histogram *>(<char *>stats.shared + offset)
    cdef const char *arena = <const char *>lane + lane.arena
    cdef uint32_t octave, step
    cdef uint32_t place
    cdef uint64_t before
    sums: dict[tuple[int, int], int] = {}
    for value, count in counted["buckets"].items():
        octave = histogram_octave(int(value))
        bucket = (octave, histogram_step(int(value), octave))
        sums[bucket] = sums.get(bucket, 0) + count
    for (octave, step), count in sums.items():
        place = histogram.octaves[octave]
        before = histogram_counter(arena, place, step) if place != 0 else 0
        if count > before and not histogram_count(stats.shared, lane, histogram, octave, step, count - before):
            return
    histogram.count = counted["count"]
    histogram.sum = counted["sum"]
