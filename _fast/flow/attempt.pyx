"""See `attempt.pxd`. A request goes out again only while every body byte sent so far is in the replay buffer, no byte
of an answer has been passed on, and the method or the kind of failure makes it safe (RFC 9110 section 9.2.2).
"""
from libc.string cimport memset

from tulle._fast.base.list cimport list_init
from tulle._fast.base.shared cimport (
    FLAG_DC, FLAG_DPE, FLAG_PT, FLAG_SI, FLAG_UC, FLAG_UF, FLAG_UH, FLAG_UO, FLAG_UPE, FLAG_URX, FLAG_UT,
    LIMIT_RETRIES, series_expect,
)
from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport int64_t, likely, uint16_t, unlikely
from tulle._fast.flow.breaking cimport (
    Passage, breaking_cluster_is_shut, breaking_pick, breaking_seconds_left,
)
from tulle._fast.flow.finish cimport attempt_end, exchange_detach, exchange_finish, exchange_series
from tulle._fast.flow.outcome cimport outcome_failure, outcome_head
from tulle._fast.flow.pick cimport cluster_pick
from tulle._fast.flow.pool cimport POOL_FAILED, POOL_OVERFLOW, POOL_READY, pool_acquire
from tulle._fast.flow.replay cimport replay_keep, replay_next, replay_rewind
from tulle._fast.flow.reply cimport reply_error
from tulle._fast.flow.types cimport (
    ATTEMPT_CONNECTING, ATTEMPT_NONE, ATTEMPT_RUNNING, ATTEMPT_WAITING, BODY_END, BODY_ERROR, BODY_MORE, SEND_END,
    SEND_HEAD, TRIED_HOSTS, X_BACKOFF, X_CLIENT_BLOCKED, X_FRESH, X_HELD, X_HOLDS_RETRY, X_KEEP_ALIVE, X_REPLAYING,
    X_REPLAY_LOST, X_REQUEST_READ, X_RESPONSE_BEGUN, X_RESPONSE_ENDED, X_SERVER_BLOCKED, X_TUNNEL, X_TUNNEL_DOWN_DONE,
    X_TUNNEL_UP_DONE, Cluster, Host,
)
from tulle._fast.flow.upstream cimport host_begin, host_ref
from tulle._fast.http.date_parse cimport retry_after_seconds
from tulle._fast.net.conn cimport CONN_BLOCKED, CONN_DONE, CONN_HUNG_UP, Conn
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.splice cimport (
    SPLICE_AGAIN, SPLICE_BLOCKED, SPLICE_END, SPLICE_IDLE, SPLICE_SINK_ERROR, SPLICE_SOURCE_ENDED, splice_get,
    splice_move,
)
from tulle._fast.policy.image cimport ROUTE_RETRY_UNSAFE, ROUTE_TIMEOUT_TO_HEAD, RouteEntry
from tulle._fast.policy.limits cimport limit_acquire, limit_release
from tulle._fast.policy.retry cimport (
    RETRY_NEVER, retry_method_repeats, retry_pause, retry_pause_after, retry_wants_answer, retry_wants_failure,
)
from tulle._fast.policy.retry_budget cimport retry_budget_acquire

cdef enum:
    SECOND = 1000000000

cdef enum:
    MOST_REPLAYS = 2                   # of an exchange: a request that kills whoever takes it must not go round


# -- time -------------------------------------------------------------------------------------------------------------

cdef inline uint64_t earlier(uint64_t left, uint64_t right) noexcept nogil:
    """Of two deadlines, where 0 is none."""
    if left == 0:
        return right
    return left if right == 0 or left < right else right


cdef void exchange_arm(Exchange *x) noexcept nogil:
    cdef uint64_t deadline = earlier(x.request_deadline, x.try_deadline)
    if x.flags & X_BACKOFF:
        deadline = earlier(deadline, x.backoff_until)
    if x.idle_timeout != 0:
        deadline = earlier(deadline, x.last_activity + x.idle_timeout)
    if deadline != 0:
        timer_set(&x.worker.loop.timers, &x.timer, deadline)


cdef void exchange_timeout(Timer *timer, uint64_t now) noexcept nogil:
    cdef Exchange *null = NULL
    cdef Exchange *x = <Exchange *>(<char *>timer - <size_t>&null.timer)
    if x.flags & X_BACKOFF and x.backoff_until <= now:
        x.flags &= ~<uint32_t>X_BACKOFF
        if unlikely(x.flags & X_HELD):
            x.worker.hooks.exchange_resume(x)
        else:
            attempt_start(x)
        return
    if x.request_deadline != 0 and x.request_deadline <= now:
        if x.cluster != NULL:
            x.cluster.stats.request_timeouts += 1
        if x.attempt.state == ATTEMPT_CONNECTING or x.attempt.state == ATTEMPT_RUNNING:
            if not x.flags & X_RESPONSE_BEGUN:
                outcome_failure(&x.attempt, FLAG_UT)
        exchange_give_up(x, FLAG_UT)
        return
    if x.try_deadline != 0 and x.try_deadline <= now:
        x.try_deadline = 0
        if x.attempt.state == ATTEMPT_WAITING:
            x.cluster.stats.pending_timeouts += 1
            exchange_give_up(x, FLAG_PT)
            return
        if x.attempt.state != ATTEMPT_NONE:
            attempt_failed(&x.attempt, FLAG_UT)
            return
    if x.idle_timeout != 0 and x.last_activity + x.idle_timeout <= now:
        exchange_give_up(x, FLAG_SI)
        return
    exchange_arm(x)


cdef uint16_t failure_status(int flag) noexcept nogil:
    if flag == FLAG_UT or flag == FLAG_SI:
        return 504
    if flag == FLAG_UPE:
        return 502
    return 503


cdef void exchange_give_up(Exchange *x, int flag) noexcept nogil:
    attempt_end(&x.attempt)
    if x.flags & X_RESPONSE_BEGUN:
        x.response_flags |= <uint32_t>1 << flag
        exchange_finish(x, False, not x.flags & X_RESPONSE_ENDED)
        return
    reply_error(x, failure_status(flag), flag, NULL)


cdef void exchange_client_gone(Exchange *x) noexcept nogil:
    x.response_flags |= <uint32_t>1 << FLAG_DC
    exchange_finish(x, False, True)


# -- starting ---------------------------------------------------------------------------------------------------------

cdef void attempt_begin(Exchange *x, Host *host) noexcept nogil:
    cdef Attempt *attempt = &x.attempt
    memset(attempt, 0, sizeof(Attempt))
    attempt.exchange = x
    attempt.host = host
    attempt.ops = &x.worker.client_ops
    attempt.started = x.worker.loop.now
    list_init(&attempt.waiting)
    host_begin(host)
    host.stats.requests_total += 1
    x.attempts += 1
    x.tried[x.tried_count % TRIED_HOSTS] = host
    if x.tried_count < TRIED_HOSTS:
        x.tried_count += 1


cdef void reply_shut(Exchange *x) noexcept nogil:
    """The cluster's circuit breaker is open: say when to come again."""
    x.cluster.stats.breaker_refused += 1
    x.retry_after = <uint32_t>breaking_seconds_left(x.cluster)
    reply_error(x, 503, FLAG_UO, b"upstream overflow: the circuit breaker is open")


cdef void attempt_start(Exchange *x) noexcept nogil:
    cdef Attempt *attempt = &x.attempt
    cdef bint fresh = x.flags & X_FRESH != 0
    cdef bint shut = False
    cdef Passage passage
    cdef Host *host
    cdef int result
    if likely(x.cluster.config.breaker.scope == 0):
        host = cluster_pick(x.cluster, x)
    else:
        host = breaking_pick(x.cluster, x, &passage, &shut)
    if unlikely(host == NULL):
        if shut:
            reply_shut(x)
        else:
            reply_error(x, 503, FLAG_UH, NULL)
        return
    attempt_begin(x, host)
    if unlikely(x.cluster.config.breaker.scope != 0):
        attempt.cluster_token = passage.cluster_token
        attempt.host_token = passage.host_token
    attempt.state = ATTEMPT_CONNECTING
    x.try_deadline = attempt.started + x.route.try_timeout if x.route.try_timeout != 0 else 0
    x.flags &= ~<uint32_t>X_FRESH
    result = pool_acquire(attempt, fresh)
    if likely(result == POOL_READY):
        attempt_ready(attempt)
    elif result == POOL_OVERFLOW:
        exchange_give_up(x, FLAG_UO)
    elif result == POOL_FAILED:
        attempt_failed(attempt, FLAG_UF)
    else:
        if attempt.state == ATTEMPT_WAITING and x.cluster.config.pending_timeout != 0:
            x.try_deadline = earlier(x.try_deadline, attempt.started + x.cluster.config.pending_timeout)
        exchange_arm(x)


cdef void attempt_ready(Attempt *attempt) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef uint64_t now = x.worker.loop.now
    attempt.connected = now
    attempt.sent = now
    if not attempt.reused:
        x.connect_time = now - attempt.started
    exchange_arm(x)
    request_send(x, SEND_HEAD)


# -- the request ------------------------------------------------------------------------------------------------------

cdef int request_body(Exchange *x, const char **data, size_t *length) noexcept nogil:
    """The next piece: first what an earlier try had sent, then from the client."""
    cdef int result
    data[0] = NULL
    length[0] = 0
    if unlikely(x.flags & X_REPLAYING):
        if replay_next(x, data, length):
            return BODY_MORE if not (x.flags & X_REQUEST_READ and x.replay_next == NULL) else BODY_END
        x.flags &= ~<uint32_t>X_REPLAYING
    if x.flags & X_REQUEST_READ:
        return BODY_END
    result = x.server_ops.read_body(x, data, length)
    x.bytes_received += length[0]
    if result == BODY_END:
        x.flags |= X_REQUEST_READ
    return result


cdef inline bint may_need_replay(const Exchange *x) noexcept nogil:
    return (
        x.route != NULL
        and (retry_method_repeats(x.method) or x.route.flags & ROUTE_RETRY_UNSAFE)
        and not x.flags & (X_RESPONSE_BEGUN | X_TUNNEL)
    )


cdef void request_complete(Exchange *x) noexcept nogil:
    """The last byte is here: trailers cannot be replayed, and the request timeout begins."""
    x.request_ended = x.worker.loop.now
    if unlikely(x.trailers != NULL):
        x.flags |= X_REPLAY_LOST
    if (
        unlikely(x.request_deadline == 0) and x.route != NULL and x.route.request_timeout != 0
        and not x.flags & X_TUNNEL
    ):
        x.request_deadline = x.worker.loop.now + x.route.request_timeout
        exchange_arm(x)


cdef bint request_splices(Exchange *x) noexcept nogil:
    """Whether the rest of the body goes through a pipe: long, plain at both ends, and not to be kept for a replay."""
    cdef uint64_t *remaining
    if x.up != NULL:
        return True
    if (
        likely(x.flags & (X_REQUEST_READ | X_REPLAYING | X_TUNNEL))
        or not x.flags & X_REPLAY_LOST
        or x.mirrors != NULL
    ):
        return False
    if x.server_ops.plain_source(x, &remaining) == NULL or x.attempt.ops.plain_sink(&x.attempt) == NULL:
        return False
    x.up = splice_get(&x.worker.splices)
    return x.up != NULL


cdef void request_splice(Exchange *x) noexcept nogil:
    cdef Attempt *attempt = &x.attempt
    cdef uint64_t *remaining = NULL
    cdef Conn *source = x.server_ops.plain_source(x, &remaining)
    cdef Conn *sink = attempt.ops.plain_sink(attempt)
    cdef uint64_t before = x.bytes_received
    cdef int result = SPLICE_IDLE
    if likely(sink != NULL):
        result = splice_move(x.up, source, sink, remaining, &x.bytes_received)
    if x.bytes_received != before:
        x.last_activity = x.worker.loop.now
    if result == SPLICE_END:
        x.flags |= X_REQUEST_READ
        attempt.body_sent = 1
        request_complete(x)
    elif result == SPLICE_BLOCKED:
        x.flags |= X_CLIENT_BLOCKED
    elif result == SPLICE_AGAIN:
        watch_make_ready(&source.watch)
    elif result == SPLICE_SOURCE_ENDED:
        exchange_client_gone(x)
    elif result == SPLICE_SINK_ERROR:
        # An answer may have come before the reset: the client side reads on and reports
        sink.state |= CONN_HUNG_UP
        watch_make_ready(&sink.watch)


cdef void request_send(Exchange *x, uint32_t flags) noexcept nogil:
    cdef Attempt *attempt = &x.attempt
    cdef const char *data
    cdef size_t length
    cdef bint replaying
    cdef int result, sent
    while True:
        if not flags & SEND_HEAD and request_splices(x):
            request_splice(x)
            return
        result = request_body(x, &data, &length)
        # Asked afterwards: behind the last piece of the replay comes the first new one
        replaying = x.flags & X_REPLAYING != 0
        if unlikely(result < 0):
            request_broken(x, result)
            return
        if length == 0 and result != BODY_END and not flags & SEND_HEAD:
            return
        x.last_activity = x.worker.loop.now
        if length > 0 and not replaying:
            if may_need_replay(x):
                replay_keep(x, data, length)
            else:
                x.flags |= X_REPLAY_LOST
        if unlikely(x.mirrors != NULL) and not replaying:
            x.worker.hooks.mirror_feed(x, data, length, result == BODY_END)
        if result == BODY_END:
            flags |= SEND_END
            attempt.body_sent = 1
            request_complete(x)
        sent = attempt.ops.send(attempt, flags, data, length)
        x.trailers = NULL
        flags = 0
        if unlikely(sent != CONN_DONE):
            # A failed write is not the end: an answer may lie in the receive queue. The client side reads on, and tells
            if sent == CONN_BLOCKED:
                x.flags |= X_CLIENT_BLOCKED
            return
        if result == BODY_END:
            if unlikely(x.flags & X_TUNNEL):
                tunnel_side_done(x, X_TUNNEL_UP_DONE)
            return
        if length == 0:
            return


cdef void attempt_pump(Exchange *x) noexcept nogil:
    if x.attempt.state == ATTEMPT_RUNNING and not x.flags & X_CLIENT_BLOCKED and not x.attempt.body_sent:
        request_send(x, 0)


cdef void request_broken(Exchange *x, int result) noexcept nogil:
    """The client broke off, or framed its body wrongly."""
    if result == BODY_ERROR:
        attempt_end(&x.attempt)
        x.flags &= ~<uint32_t>X_KEEP_ALIVE
        if not x.flags & X_RESPONSE_BEGUN:
            if x.status == 413:
                reply_error(x, 413, FLAG_DPE, b"the request body is larger than is allowed here")
            else:
                reply_error(x, 400, FLAG_DPE, b"the request body is malformed")
            return
        x.response_flags |= <uint32_t>1 << FLAG_DPE
        exchange_finish(x, False, True)
        return
    exchange_client_gone(x)


# -- failure and retry ------------------------------------------------------------------------------------------------

cdef inline bint request_can_repeat(const Exchange *x, bint reached) noexcept nogil:
    """`reached`: the application may have seen the request."""
    if x.flags & (X_REPLAY_LOST | X_RESPONSE_BEGUN | X_TUNNEL) or x.route == NULL:
        return False
    return not reached or retry_method_repeats(x.method) or x.route.flags & ROUTE_RETRY_UNSAFE


cdef void request_rewind(Exchange *x) noexcept nogil:
    x.flags &= ~<uint32_t>X_CLIENT_BLOCKED
    if x.replay != NULL:
        replay_rewind(x)
        x.flags |= X_REPLAYING


cdef bint retry_in_time(Exchange *x, const Message *answer) noexcept nogil:
    """When the next try begins; False: not while the request has time, or not as early as the route would wait."""
    cdef uint64_t now = x.worker.loop.now
    cdef uint64_t pause = retry_pause(x.route, x.attempts, &x.worker.random)
    cdef int64_t asked
    if answer != NULL:
        asked = retry_after_seconds(answer, (now + x.worker.wall_offset) // SECOND)
        pause = retry_pause_after(x.route, pause, asked)
        if pause == RETRY_NEVER:
            return False
    x.backoff_until = now + pause
    return x.request_deadline == 0 or x.backoff_until < x.request_deadline


cdef bint retry_place_take(Exchange *x) noexcept nogil:
    """By the limit: one place for all further tries. By the budget: each try anew, for it is a rate too."""
    cdef Cluster *cluster = x.cluster
    cdef uint32_t lane = x.worker.lane_index
    if not cluster.config.retry_budget.enabled:
        return x.flags & X_HOLDS_RETRY or limit_acquire(
            x.worker.shared, cluster.lines, lane, LIMIT_RETRIES, cluster.config.max_retries
        )
    if x.flags & X_HOLDS_RETRY:
        x.flags &= ~<uint32_t>X_HOLDS_RETRY
        limit_release(cluster.lines, lane, LIMIT_RETRIES)
    return retry_budget_acquire(
        x.worker.shared, cluster.lines, lane, &cluster.state.retry_bucket, &cluster.config.retry_budget,
        x.worker.loop.now,
    )


cdef bint retry_allowed(Exchange *x, const Message *answer) noexcept nogil:
    """Takes a place among the retries; marks the exchange when attempts (URX) or places (UO) are used up."""
    cdef const RouteEntry *route = x.route
    if x.attempts > route.retry_attempts:
        if route.retry_attempts > 0:
            x.response_flags |= <uint32_t>1 << FLAG_URX
            x.cluster.stats.retries_limited += 1
        return False
    if unlikely(x.cluster.config.breaker.scope != 0) and breaking_cluster_is_shut(x.cluster):
        x.response_flags |= <uint32_t>1 << FLAG_UO
        x.cluster.stats.retries_limited += 1
        return False
    if not retry_in_time(x, answer):
        x.cluster.stats.retries_limited += 1
        return False
    if retry_place_take(x):
        x.flags |= X_HOLDS_RETRY
        return True
    x.response_flags |= <uint32_t>1 << FLAG_UO
    x.cluster.stats.overflow[<int>LIMIT_RETRIES] += 1
    x.cluster.stats.retries_limited += 1
    return False


cdef void attempt_retry(Exchange *x) noexcept nogil:
    """A further try after the pause; its place among the retries is taken."""
    x.cluster.stats.retries += 1
    x.try_deadline = 0
    request_rewind(x)
    x.flags |= X_BACKOFF
    exchange_arm(x)


cdef void attempt_failed(Attempt *attempt, int flag) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef bint reached = attempt.delivered
    cdef bint untaken, replayed
    # Its head, if there was one, has gone with the connection
    x.response = NULL
    if flag < 0:
        flag = FLAG_UF
    if x.flags & X_RESPONSE_BEGUN:
        exchange_give_up(x, flag)
        return
    untaken = flag == FLAG_UC and not attempt.answered and (attempt.reused or attempt.unread)
    replayed = untaken and x.replays < MOST_REPLAYS and request_can_repeat(x, reached)
    if not replayed:
        outcome_failure(attempt, flag)
    attempt_end(attempt)
    if replayed:
        # The host closed the connection as we began to use it: nobody's failure, so it counts as no try
        x.flags |= X_FRESH
        x.replays += 1
        x.attempts -= 1
        x.tried_count -= 1
        x.worker.lane.header.replays += 1
        request_rewind(x)
        attempt_start(x)
        return
    if (
        x.route != NULL
        and retry_wants_failure(x.route, flag, reached)
        and request_can_repeat(x, reached)
        and retry_allowed(x, NULL)
    ):
        attempt_retry(x)
        return
    exchange_give_up(x, flag)


# -- the response -----------------------------------------------------------------------------------------------------

cdef int attempt_on_head(Attempt *attempt, const Message *message) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef Host *host = attempt.host
    attempt.first_byte = x.worker.loop.now
    outcome_head(attempt, message)
    if (
        unlikely(x.route.retry_on != 0)
        and retry_wants_answer(x.table.image, x.route, message)
        and request_can_repeat(x, True)
        and retry_allowed(x, message)
    ):
        return HEAD_RETRY
    if unlikely(x.flags & X_HOLDS_RETRY) and message.status < 500:
        x.cluster.stats.retries_succeeded += 1
    x.response = message
    x.status = message.status
    x.try_deadline = 0
    if x.route.flags & ROUTE_TIMEOUT_TO_HEAD:
        x.request_deadline = 0
    elif unlikely(x.route.late_timeout != 0) and x.request_deadline != 0:
        x.request_deadline += x.route.late_timeout
    x.sent_at = attempt.sent
    x.first_byte = attempt.first_byte
    x.series = exchange_series(x)
    series_expect(x.series)
    if x.answered_by == NULL:
        x.answered_by = host
        host_ref(host)
    return HEAD_FORWARD


cdef bint attempt_on_data(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef int result
    x.last_activity = x.worker.loop.now
    x.bytes_sent += length
    if flags & SEND_HEAD:
        x.flags |= X_RESPONSE_BEGUN
    if flags & SEND_END:
        x.flags |= X_RESPONSE_ENDED
    result = x.server_ops.send(x, flags, data, length)
    if flags & SEND_HEAD and (not flags & SEND_END or result == CONN_BLOCKED):
        exchange_detach(x)
    x.trailers = NULL
    if unlikely(result < 0):
        exchange_client_gone(x)
        return False
    if result == CONN_BLOCKED:
        x.flags |= X_SERVER_BLOCKED
        return True
    if flags & SEND_END:
        if unlikely(x.flags & X_TUNNEL):
            return not tunnel_side_done(x, X_TUNNEL_DOWN_DONE)
        exchange_finish(x, x.flags & X_KEEP_ALIVE != 0, False)
        return False
    return True


cdef bint tunnel_side_done(Exchange *x, uint32_t side) noexcept nogil:
    """True when that was the second of the two ends, and the exchange is over."""
    x.flags |= side
    if x.flags & X_TUNNEL_UP_DONE and x.flags & X_TUNNEL_DOWN_DONE:
        exchange_finish(x, False, False)
        return True
    return False
