"""See `finish.pxd`. The one place where what an exchange occupies is released."""
from tulle._fast.base.buf cimport buf_unref
from tulle._fast.base.list cimport list_remove
from tulle._fast.base.shared cimport HEDGE_LOST, LIMIT_REQUESTS, LIMIT_RETRIES, Series, histogram_record, lane_series
from tulle._fast.base.slab cimport slab_put
from tulle._fast.base.timer cimport timer_remove
from tulle._fast.base.types cimport likely, uint32_t, unlikely
from tulle._fast.flow.access_log cimport access_log_copy, access_log_write
from tulle._fast.flow.ejection cimport ejection_probe_dropped
from tulle._fast.flow.grpc cimport grpc_count
from tulle._fast.flow.latency cimport latency_given_up
from tulle._fast.flow.breaking cimport breaking_drop
from tulle._fast.flow.pool cimport pool_leave_queue
from tulle._fast.flow.replay cimport replay_drop
from tulle._fast.flow.retry_place cimport retry_place_release
from tulle._fast.flow.table cimport table_unref
from tulle._fast.flow.token_table cimport token_leave, token_let_go
from tulle._fast.flow.types cimport (
    ATTEMPT_CONNECTING, ATTEMPT_NONE, ATTEMPT_WAITING, X_AWAITS, X_DETACHED, X_GRPC, X_HOLDS_REQUEST, X_HOLDS_RETRY,
    X_MIRROR,
    X_RESPONSE_BEGUN, X_TUNNEL, Host, Worker,
)
from tulle._fast.flow.upstream cimport host_end, host_unref
from tulle._fast.net.splice cimport splice_put
from tulle._fast.policy.image cimport BALANCER_PEAK_EWMA
from tulle._fast.policy.limits cimport limit_release


cdef void attempt_end(Attempt *attempt) noexcept nogil:
    cdef Host *host = attempt.host
    if attempt.state == ATTEMPT_NONE:
        return
    if attempt.state == ATTEMPT_WAITING:
        pool_leave_queue(attempt)
    elif unlikely(attempt.state == ATTEMPT_CONNECTING):
        list_remove(&attempt.waiting)
    if unlikely(host.cluster.config.balancer == BALANCER_PEAK_EWMA and attempt.first_byte == 0):
        latency_given_up(attempt)
    attempt.state = ATTEMPT_NONE
    if attempt.upstream != NULL:
        attempt.ops.cancel(attempt)
        attempt.upstream = NULL
    if unlikely(attempt.cluster_token | attempt.host_token):
        breaking_drop(attempt)
    attempt.host = NULL
    if unlikely(host.probe == attempt):
        ejection_probe_dropped(host)
    host_end(host)


cdef void attempts_end(Exchange *x) noexcept nogil:
    attempt_end(x.attempt)
    if unlikely(x.hedge != NULL):
        attempt_end(x.hedge)
        x.hedge = NULL
        x.cluster.stats.hedges[<int>HEDGE_LOST] += 1
        retry_place_release(x.cluster)


cdef void exchange_release_limits(Exchange *x) noexcept nogil:
    cdef uint32_t lane = x.worker.lane_index
    if x.flags & X_HOLDS_RETRY:
        limit_release(x.cluster.lines, lane, LIMIT_RETRIES)
    if x.flags & X_HOLDS_REQUEST:
        limit_release(x.cluster.lines, lane, LIMIT_REQUESTS)
        x.cluster.stats.requests_active -= 1
    x.flags &= ~<uint32_t>(X_HOLDS_RETRY | X_HOLDS_REQUEST)


cdef Series *exchange_series(Exchange *x) noexcept nogil:
    cdef uint32_t cluster = x.cluster.slot + 1 if x.cluster != NULL else 0
    return lane_series(x.worker.shared, x.worker.lane, x.listener_id, x.route_id, cluster, x.cluster_generation)


cdef void exchange_count(Exchange *x) noexcept nogil:
    cdef Worker *worker = x.worker
    cdef Series *series = x.series if x.series != NULL else exchange_series(x)
    cdef uint32_t flags, flag
    if unlikely(x.flags & X_GRPC):
        grpc_count(x)
    # A status that was never sent is class 0: the client saw no answer
    series.requests[x.status // 100 if x.flags & X_RESPONSE_BEGUN and x.status < 600 else 0] += 1
    series.bytes_received += x.bytes_received
    series.bytes_sent += x.bytes_sent
    histogram_record(worker.shared, worker.lane, &series.duration, worker.loop.now - x.started)
    if x.first_byte > x.sent_at and x.sent_at != 0:
        histogram_record(worker.shared, worker.lane, &series.upstream, x.first_byte - x.sent_at)
    flags = x.response_flags
    flag = 0
    while unlikely(flags != 0):
        if flags & 1:
            series.flags[flag] += 1
        flags >>= 1
        flag += 1


cdef void exchange_let_go(Exchange *x) noexcept nogil:
    """The request head, its buffer, and the table."""
    cdef Worker *worker = x.worker
    if x.request != NULL:
        slab_put(&worker.messages_slab, x.request)
        x.request = NULL
    if x.request_buf != NULL:
        buf_unref(&worker.bufs, x.request_buf)
        x.request_buf = NULL
    if x.path_buf != NULL:
        buf_unref(&worker.bufs, x.path_buf)
        x.path_buf = NULL
    if unlikely(x.target_buf != NULL):
        buf_unref(&worker.bufs, x.target_buf)
        x.target_buf = NULL
    x.path = NULL
    x.path_length = 0
    x.target = NULL
    x.response = NULL
    if x.table != NULL:
        table_unref(worker, x.table)
        x.table = NULL
    x.listener = NULL
    x.route = NULL
    x.named = NULL
    x.policy = NULL
    x.token_entry = NULL
    if unlikely(x.token != NULL):
        token_let_go(x)
    x.settings = NULL
    x.cookie = NULL


cdef void exchange_detach(Exchange *x) noexcept nogil:
    if x.flags & X_DETACHED:
        return
    if likely(not x.flags & X_MIRROR):
        access_log_copy(x)
    x.flags |= X_DETACHED
    x.series = NULL                    # it may be freed once no table has its ids: see base/sweep
    exchange_let_go(x)
    if likely(x.attempt.replay_next == NULL):
        replay_drop(x)


cdef void exchange_finish(Exchange *x, bint keep, bint cut) noexcept nogil:
    cdef Worker *worker = x.worker
    cdef Host *answered
    if unlikely(x.mirrors != NULL):
        worker.hooks.mirror_leave(x)
    attempts_end(x)
    if unlikely(x.flags & X_AWAITS):
        token_leave(x)
    exchange_count(x)
    if likely(not x.flags & X_MIRROR):
        access_log_write(x)
    exchange_release_limits(x)
    timer_remove(&x.timer)
    if unlikely(x.replay != NULL):
        replay_drop(x)
    if unlikely(x.up != NULL):
        splice_put(&worker.splices, x.up)
    if unlikely(x.down != NULL):
        splice_put(&worker.splices, x.down)
    if unlikely(x.log_copy != NULL):
        buf_unref(&worker.bufs, x.log_copy)
    exchange_let_go(x)
    if likely(x.answered_by != NULL):
        answered = x.answered_by
        x.answered_by = NULL
        host_unref(answered)
    if likely(x.cluster != NULL):
        x.cluster.exchanges -= 1
    if x.flags & X_TUNNEL:
        worker.lane.header.tunnels_active -= 1
    worker.lane.header.requests_active -= 1
    x.server_ops.finished(x, keep, cut)
    slab_put(&worker.exchanges_slab, x)
