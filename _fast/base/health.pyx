"""The border between active health checks and shared memory: what the checker writes and reads back.

All that outlives a probe is in shared memory, by slot and generation, so a checker may be ended and begun anew at any
time: for a reload, an upgrade, or because it died. Only one checker writes. A generation that is newer than the one it
knows belongs to another owner of the slot, whose state it must not touch.

A failure is one number: its kind in the upper half, an errno or a status in the lower.
"""
from tulle._fast.base.atomic cimport atomic_fetch_add_u32, atomic_load_u32, atomic_store_u32
from tulle._fast.base.shared cimport (
    ClusterState, EndpointHealth, cluster_state_take, endpoint_health_take, shared_cluster_state,
    shared_endpoint_health,
)
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport uint32_t, uint64_t


def take(Stats stats, uint32_t slot, uint32_t generation) -> bool:
    """Have the state of an endpoint belong to this owner; False when a newer one has it."""
    if slot >= stats.shared.endpoint_capacity:
        return False
    if atomic_load_u32(&shared_endpoint_health(stats.shared, slot).generation) > generation:
        return False
    endpoint_health_take(stats.shared, slot, generation)
    return True


def take_cluster(Stats stats, uint32_t slot, uint32_t generation) -> bool:
    """The same for a cluster."""
    if slot >= stats.shared.cluster_capacity:
        return False
    if atomic_load_u32(&shared_cluster_state(stats.shared, slot).generation) > generation:
        return False
    cluster_state_take(stats.shared, slot, generation)
    return True


def state(Stats stats, uint32_t slot) -> tuple[bool, int, int, int]:
    """Unhealthy or not, since when (wall clock ns, 0: never checked), how many checks in a row say otherwise, and the
    last failure.
    """
    cdef EndpointHealth *health = shared_endpoint_health(stats.shared, slot)
    return health.unhealthy != 0, health.checked_since, health.check_run, health.check_failure


def set_run(Stats stats, uint32_t slot, uint32_t run, uint32_t failure) -> None:
    """How many checks in a row have found an endpoint other than it is taken for."""
    cdef EndpointHealth *health = shared_endpoint_health(stats.shared, slot)
    health.check_run = run
    health.check_failure = failure


def set_state(Stats stats, uint32_t slot, uint32_t cluster, bint unhealthy, uint64_t since) -> None:
    """From now on it is taken for this; all workers hear of it with their next pick."""
    cdef EndpointHealth *health = shared_endpoint_health(stats.shared, slot)
    cdef bint changes = (health.unhealthy != 0) != unhealthy
    health.check_run = 0
    health.checked_since = since
    atomic_store_u32(&health.unhealthy, unhealthy)
    if changes:
        atomic_fetch_add_u32(&shared_cluster_state(stats.shared, cluster).epoch, 1)


def count(Stats stats, uint32_t cluster, bint passed) -> None:
    """One more check of a cluster."""
    cdef ClusterState *found = shared_cluster_state(stats.shared, cluster)
    if passed:
        found.checks_passed += 1
    else:
        found.checks_failed += 1


def counts(Stats stats, uint32_t cluster, uint32_t generation) -> tuple[int, int]:
    """Checks of a cluster that passed, and that failed."""
    cdef ClusterState *found = shared_cluster_state(stats.shared, cluster)
    if found.generation != generation:
        return 0, 0
    return found.checks_passed, found.checks_failed
