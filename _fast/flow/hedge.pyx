"""See `hedge.pxd`. Called by `attempt` and `outcome`; `finish` ends what is still under way with the exchange."""
from libc.stdlib cimport calloc

from tulle._fast.base.shared cimport HEDGE_LOST, HEDGE_REFUSED, HEDGE_WON
from tulle._fast.base.types cimport unlikely
from tulle._fast.flow.breaking cimport breaking_cluster_is_shut
from tulle._fast.flow.finish cimport attempt_end
from tulle._fast.flow.grpc cimport grpc_is_failure
from tulle._fast.flow.retry_place cimport retry_place_acquire, retry_place_release
from tulle._fast.flow.types cimport (
    X_CONNECT, X_GRPC, X_RAW, X_REPLAY_LOST, X_REQUEST_READ, X_RESPONSE_BEGUN, X_UPGRADE, Cluster,
)
from tulle._fast.policy.hedge cimport HedgePolicy, hedge_accepts, hedge_delay
from tulle._fast.policy.image cimport ROUTE_RETRY_UNSAFE, image_at
from tulle._fast.policy.latency_window cimport LatencyWindow, window_record
from tulle._fast.policy.retry cimport retry_method_repeats


# -- whether and when -------------------------------------------------------------------------------------------------

cdef bint may_hedge(const Exchange *x) noexcept nogil:
    """The whole request is here and in the replay buffer, and may be processed twice."""
    return (
        x.hedge == NULL
        and x.flags & X_REQUEST_READ != 0
        and not x.flags & (X_REPLAY_LOST | X_RESPONSE_BEGUN | X_CONNECT | X_UPGRADE | X_RAW)
        and (retry_method_repeats(x.method) or x.route.flags & ROUTE_RETRY_UNSAFE)
        # What its session is bound to, no other host has
        and not (x.affinity != 0 and x.attempt.host.token == x.affinity)
    )


cdef void hedge_arm(Exchange *x) noexcept nogil:
    cdef const HedgePolicy *policy = <const HedgePolicy *>image_at(x.table.image, x.route.hedge)
    cdef Cluster *cluster = x.cluster
    cdef uint64_t now = x.worker.loop.now
    cdef uint64_t delay
    if unlikely(policy.delay == 0 and cluster.recent == NULL):
        cluster.recent = <LatencyWindow *>calloc(1, sizeof(LatencyWindow))
        if cluster.recent == NULL:
            return
    if not may_hedge(x):
        return
    delay = hedge_delay(policy, cluster.recent, now)
    if delay != 0:
        x.hedge_at = now + delay


cdef void hedge_learn(const Attempt *attempt) noexcept nogil:
    cdef const Exchange *x = attempt.exchange
    cdef uint64_t now = x.worker.loop.now
    cdef uint64_t since = attempt.sent if attempt.sent != 0 else attempt.started
    # Hedges are sent when it is slow, and told of when they win: neither is usual
    if attempt != x.attempt:
        return
    if x.request_ended > since:
        since = x.request_ended
    window_record(x.cluster.recent, now - since, now)


# -- two of them ------------------------------------------------------------------------------------------------------

cdef Attempt *hedge_place(Exchange *x) noexcept nogil:
    cdef Cluster *cluster = x.cluster
    if unlikely(cluster.config.breaker.scope != 0 and breaking_cluster_is_shut(cluster)) or (
        not retry_place_acquire(cluster)
    ):
        cluster.stats.hedges[<int>HEDGE_REFUSED] += 1
        return NULL
    x.hedge = &x.second if x.attempt == &x.first else &x.first
    x.hedge.exchange = x
    return x.hedge


cdef void hedge_refused(Exchange *x) noexcept nogil:
    x.hedge = NULL
    retry_place_release(x.cluster)
    x.cluster.stats.hedges[<int>HEDGE_REFUSED] += 1


cdef void hedge_settle(Exchange *x, const Attempt *ended) noexcept nogil:
    if ended == x.attempt:
        x.attempt = x.hedge
        x.try_deadline = x.hedge_at
        x.cluster.stats.hedges[<int>HEDGE_WON] += 1
    else:
        x.cluster.stats.hedges[<int>HEDGE_LOST] += 1
    x.hedge = NULL
    x.hedge_at = 0
    retry_place_release(x.cluster)


cdef bint hedge_wins(Attempt *attempt, const Message *answer) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef Attempt *loser = x.hedge if attempt == x.attempt else x.attempt
    if not hedge_accepts(x.table.image, x.route, answer) or (x.flags & X_GRPC and grpc_is_failure(x, answer)):
        return False
    if unlikely(x.cluster.recent != NULL):
        hedge_learn(loser)
    attempt_end(loser)
    hedge_settle(x, loser)
    x.connect_time = attempt.connected - attempt.started if not attempt.reused else 0
    return True
