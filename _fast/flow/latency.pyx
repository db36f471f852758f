"""See `latency.pxd`."""
from tulle._fast.base.atomic cimport atomic_fetch_add_u32, atomic_load_u64, atomic_store_u64
from tulle._fast.base.types cimport likely, uint64_t, unlikely
from tulle._fast.policy.ewma cimport (
    EwmaPolicy, EwmaSeed, ewma_at, ewma_observe, ewma_seed, ewma_seed_age, ewma_seed_cost, ewma_take,
)

cdef enum:
    SEED_AGE = 1000000000              # ns after which it is written anew
    ALARM = 4                          # so many times as slow as others know it to be: they are told at once


cdef void latency_publish(Host *host, const EwmaPolicy *policy, uint64_t now) noexcept nogil:
    cdef EwmaSeed seed = atomic_load_u64(&host.health.latency)
    cdef bint alarm = seed != 0 and host.load.ewma.cost > ALARM * ewma_seed_cost(seed, policy, now)
    if likely(seed != 0 and not alarm and ewma_seed_age(seed, now) < SEED_AGE):
        return
    atomic_store_u64(&host.health.latency, ewma_seed(&host.load.ewma))
    if alarm:
        atomic_fetch_add_u32(&host.cluster.state.epoch, 1)


cdef void latency_learn(Host *host, uint64_t latency) noexcept nogil:
    cdef const EwmaPolicy *policy = &host.cluster.config.ewma
    cdef uint64_t now = host.cluster.worker.loop.now
    ewma_observe(&host.load.ewma, policy, latency, now)
    latency_publish(host, policy, now)


cdef inline uint64_t waited(const Attempt *attempt, uint64_t now) noexcept nogil:
    return now - (attempt.sent if attempt.sent != 0 else attempt.started)


cdef inline uint64_t penalised(const Host *host, uint64_t latency) noexcept nogil:
    cdef uint64_t penalty = host.cluster.config.ewma.failure_penalty
    return latency if latency > penalty else penalty


cdef void latency_answered(Attempt *attempt, uint32_t status) noexcept nogil:
    cdef uint64_t latency = attempt.first_byte - attempt.sent
    if unlikely(status >= 500 or status == 429):
        latency = penalised(attempt.host, latency)
    latency_learn(attempt.host, latency)


cdef void latency_failed(Attempt *attempt) noexcept nogil:
    latency_learn(attempt.host, penalised(attempt.host, waited(attempt, attempt.exchange.worker.loop.now)))


cdef void latency_given_up(Attempt *attempt) noexcept nogil:
    cdef Host *host = attempt.host
    cdef uint64_t now = host.cluster.worker.loop.now
    cdef uint64_t latency = now - attempt.sent
    if attempt.sent != 0 and <double>latency > ewma_at(&host.load.ewma, &host.cluster.config.ewma, now):
        latency_learn(host, latency)


cdef void latency_take(Host *host) noexcept nogil:
    ewma_take(
        &host.load.ewma, &host.cluster.config.ewma, atomic_load_u64(&host.health.latency), host.cluster.worker.loop.now
    )
