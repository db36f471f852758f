"""See `attempt.pxd`. A request goes out again only while every body byte sent so far is in the replay buffer, no byte
of an answer has been passed on, and the method or the kind of failure makes it safe (RFC 9110 section 9.2.2).
"""
from libc.string cimport memset

from tulle._fast.base.list cimport list_init
from tulle._fast.base.shared cimport (
    FLAG_DC, FLAG_DPE, FLAG_PT, FLAG_SI, FLAG_UC, FLAG_UF, FLAG_UH, FLAG_UO, FLAG_UPE, FLAG_URX, FLAG_UT,
    LIMIT_RETRIES, histogram_expect,
)
from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport int64_t, likely, uint16_t, unlikely
from tulle._fast.flow.breaking cimport (
    Passage, breaking_cluster_is_shut, breaking_pick, breaking_seconds_left,
)
from tulle._fast.flow.farewell cimport farewell_follow, farewell_pass, farewell_say
from tulle._fast.flow.finish cimport attempt_end, attempts_end, exchange_detach, exchange_finish, exchange_series
from tulle._fast.flow.grpc cimport grpc_bound, grpc_end, grpc_ended, grpc_head, grpc_head_for_others, grpc_wants_retry
from tulle._fast.flow.hedge cimport hedge_arm, hedge_place, hedge_refused, hedge_settle, hedge_wins
from tulle._fast.flow.interception cimport interception_host
from tulle._fast.flow.outcome cimport outcome_broken, outcome_failure, outcome_head
from tulle._fast.flow.pick cimport cluster_pick
from tulle._fast.flow.pool cimport POOL_FAILED, POOL_OVERFLOW, POOL_READY, POOL_WAIT, pool_acquire, pool_acquire_now
from tulle._fast.flow.replay cimport replay_begin, replay_keep, replay_next
from tulle._fast.flow.reply cimport reply_error, reply_grpc_error
from tulle._fast.flow.retry_place cimport retry_place_acquire, retry_place_release
from tulle._fast.flow.types cimport (
    ATTEMPT_CONNECTING, ATTEMPT_NONE, ATTEMPT_RUNNING, ATTEMPT_WAITING, BODY_END, BODY_ERROR, BODY_MORE, SEND_END,
    SEND_HEAD, TRIED_HOSTS, X_BACKOFF, X_FRESH, X_GRPC, X_GRPC_ERROR, X_HELD, X_HOLDS_RETRY, X_KEEP_ALIVE, X_RAW,
    X_REPLAY_LOST, X_REQUEST_READ, X_RESPONSE_BEGUN, X_RESPONSE_ENDED, X_SERVER_BLOCKED, X_TUNNEL, X_TUNNEL_DOWN_DONE,
    X_TUNNEL_UP_DONE, Host,
)
from tulle._fast.flow.try_time cimport earlier, try_ends
from tulle._fast.flow.tunnel cimport tunnel_side_done, tunnel_splice_rests, tunnel_splices
from tulle._fast.flow.upstream cimport host_begin, host_ref
from tulle._fast.http.date_parse cimport retry_after_seconds
from tulle._fast.http.message cimport FRAMING_TUNNEL
from tulle._fast.net.conn cimport CONN_BLOCKED, CONN_BROKEN, CONN_DONE, CONN_HUNG_UP, Conn
from tulle._fast.net.loop cimport watch_make_ready
from tulle._fast.net.splice cimport (
    SPLICE_AGAIN, SPLICE_BLOCKED, SPLICE_END, SPLICE_IDLE, SPLICE_SINK_ERROR, SPLICE_SOURCE_ENDED, splice_get,
    splice_move,
)
from tulle._fast.policy.image cimport (
    RETRY_GRPC, ROUTE_GRPC, ROUTE_HEDGED, ROUTE_RETRY_UNSAFE, ROUTE_TIMEOUT_TO_HEAD, RouteEntry,
)
from tulle._fast.policy.retry cimport (
    RETRY_NEVER, retry_method_repeats, retry_pause, retry_pause_after, retry_wants_answer, retry_wants_failure,
)

cdef enum:
    SECOND = 1000000000

cdef enum:
    MOST_REPLAYS = 2                   # of an exchange: a request that kills whoever takes it must not go round


# -- time -------------------------------------------------------------------------------------------------------------

cdef void exchange_arm(Exchange *x) noexcept nogil:
    cdef uint64_t deadline = earlier(x.request_deadline, x.try_deadline)
    if x.flags & X_BACKOFF:
        deadline = earlier(deadline, x.backoff_until)
    if x.idle_timeout != 0:
        deadline = earlier(deadline, x.last_activity + x.idle_timeout)
    if unlikely(x.hedge_at != 0):
        deadline = earlier(deadline, x.hedge_at)
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
                outcome_failure(x.attempt, FLAG_UT)
        exchange_give_up(x, FLAG_UT)
        return
    if x.try_deadline != 0 and x.try_deadline <= now:
        x.try_deadline = 0
        if x.attempt.state == ATTEMPT_WAITING:
            x.cluster.stats.pending_timeouts += 1
            exchange_give_up(x, FLAG_PT)
            return
        if x.attempt.state != ATTEMPT_NONE:
            attempt_failed(x.attempt, FLAG_UT)
            return
    if x.idle_timeout != 0 and x.last_activity + x.idle_timeout <= now:
        exchange_give_up(x, FLAG_SI)
        return
    if unlikely(x.hedge_at != 0) and x.hedge_at <= now:
        hedge_due(x)
    exchange_arm(x)


cdef uint16_t failure_status(int flag) noexcept nogil:
    if flag == FLAG_UT or flag == FLAG_SI:
        return 504
    if flag == FLAG_UPE:
        return 502
    return 503


cdef void exchange_give_up(Exchange *x, int flag) noexcept nogil:
    attempts_end(x)
    if x.flags & X_RESPONSE_BEGUN:
        x.response_flags |= <uint32_t>1 << flag
        if likely(not x.flags & X_GRPC) or not grpc_end(x, flag):
            exchange_finish(x, False, not x.flags & X_RESPONSE_ENDED)
        return
    reply_error(x, failure_status(flag), flag, NULL)


cdef void exchange_client_gone(Exchange *x) noexcept nogil:
    x.response_flags |= <uint32_t>1 << FLAG_DC
    exchange_finish(x, False, True)


# -- starting ---------------------------------------------------------------------------------------------------------

cdef void attempt_begin(Attempt *attempt, Host *host) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    memset(attempt, 0, sizeof(Attempt))
    attempt.exchange = x
    attempt.host = host
    attempt.ops = &x.worker.client_ops if likely(not x.flags & X_RAW) else &x.worker.tcp_client_ops
    attempt.started = x.worker.loop.now
    attempt.state = ATTEMPT_CONNECTING
    list_init(&attempt.waiting)
    replay_begin(attempt)
    host_begin(host)
    host.stats.requests_total += 1
    x.tried[x.tried_count % TRIED_HOSTS] = host
    if x.tried_count < TRIED_HOSTS:
        x.tried_count += 1


cdef void reply_shut(Exchange *x) noexcept nogil:
    """The cluster's circuit breaker is open: say when to come again."""
    x.cluster.stats.breaker_refused += 1
    x.retry_after = <uint32_t>breaking_seconds_left(x.cluster)
    reply_error(x, 503, FLAG_UO, b"upstream overflow: the circuit breaker is open")


cdef void attempt_start(Exchange *x) noexcept nogil:
    cdef Attempt *attempt = x.attempt
    cdef bint fresh = x.flags & (X_FRESH | X_RAW) != 0
    cdef bint shut = False
    cdef Passage passage
    cdef Host *host
    if likely(x.cluster.config.breaker.scope == 0):
        host = cluster_pick(x.cluster, attempt)
    else:
        host = breaking_pick(x.cluster, attempt, &passage, &shut)
    if unlikely(host == NULL):
        if shut:
            reply_shut(x)
        else:
            reply_error(x, 503, FLAG_UH, NULL)
        return
    if unlikely(host.anywhere):
        host = interception_host(x, host)
        if host == NULL:
            reply_error(x, 503, FLAG_UH, b"the connection was not redirected here: it has no other destination")
            return
    attempt_begin(attempt, host)
    if unlikely(x.cluster.config.breaker.scope != 0):
        attempt.cluster_token = passage.cluster_token
        attempt.host_token = passage.host_token
    x.attempts += 1
    if unlikely(x.route.flags & ROUTE_HEDGED):
        x.hedge_at = 0
        hedge_arm(x)
    x.try_deadline = try_ends(x)
    x.flags &= ~<uint32_t>X_FRESH
    attempt_connect(attempt, fresh)


cdef void attempt_connect(Attempt *attempt, bint fresh) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef int result = pool_acquire(attempt, fresh)
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


cdef void attempt_again(Attempt *attempt) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    if likely(attempt == x.attempt):
        attempt_connect(attempt, False)
        return
    # A hedge never waits for another connection than its first
    attempt_end(attempt)
    hedge_refused(x)
    x.hedge_at = 0
    exchange_arm(x)


cdef void attempt_ready(Attempt *attempt) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef uint64_t now = x.worker.loop.now
    attempt.connected = now
    attempt.sent = now
    if not attempt.reused and likely(attempt == x.attempt):
        x.connect_time = now - attempt.started
    exchange_arm(x)
    request_send(attempt, SEND_HEAD)


# -- a second one -----------------------------------------------------------------------------------------------------

cdef bint hedge_start(Exchange *x, Attempt *attempt) noexcept nogil:
    """False: it has no host, or no connection at once."""
    cdef bint shut = False
    cdef Passage passage
    cdef Host *host
    cdef int result
    passage.cluster_token = 0
    passage.host_token = 0
    if likely(x.cluster.config.breaker.scope == 0):
        host = cluster_pick(x.cluster, attempt)
    else:
        host = breaking_pick(x.cluster, attempt, &passage, &shut)
    if host != NULL and unlikely(host.anywhere):
        host = interception_host(x, host)
    if host == NULL:
        return False
    attempt_begin(attempt, host)
    attempt.cluster_token = passage.cluster_token
    attempt.host_token = passage.host_token
    result = pool_acquire_now(attempt)
    if result != POOL_READY and result != POOL_WAIT:
        if result == POOL_FAILED:
            outcome_failure(attempt, FLAG_UF)
        attempt_end(attempt)
        return False
    x.hedges += 1
    if x.route.try_timeout != 0:
        x.hedge_at = attempt.started + x.route.try_timeout
    if result == POOL_READY:
        attempt_ready(attempt)
    return True


cdef void hedge_due(Exchange *x) noexcept nogil:
    """A hedge is to begin, or was to have an answer by now."""
    cdef Attempt *attempt
    x.hedge_at = 0
    if x.hedge != NULL:
        attempt_failed(x.hedge, FLAG_UT)
    elif x.attempt.state == ATTEMPT_WAITING:
        hedge_arm(x)                   # its connection comes first
    elif x.attempt.state != ATTEMPT_NONE:
        attempt = hedge_place(x)
        if attempt != NULL and not hedge_start(x, attempt):
            hedge_refused(x)


# -- the request ------------------------------------------------------------------------------------------------------

cdef int request_body(Attempt *attempt, const char **data, size_t *length) noexcept nogil:
    """The next piece: first what an earlier try had sent, then from the client."""
    cdef Exchange *x = attempt.exchange
    cdef int result
    data[0] = NULL
    length[0] = 0
    if unlikely(attempt.replaying):
        if replay_next(attempt, data, length):
            return BODY_MORE if not (x.flags & X_REQUEST_READ and attempt.replay_next == NULL) else BODY_END
        attempt.replaying = 0
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
        and (
            retry_method_repeats(x.method)
            or x.route.flags & ROUTE_RETRY_UNSAFE
            or (x.route.retry_on & RETRY_GRPC and x.flags & X_GRPC)
        )
        and not x.flags & (X_RESPONSE_BEGUN | X_TUNNEL)
    )


cdef void request_complete(Exchange *x) noexcept nogil:
    """The last byte is here: trailers cannot be replayed, and the request timeout begins."""
    cdef bint first = x.request_ended == 0
    if first:
        x.request_ended = x.worker.loop.now
    if unlikely(x.trailers != NULL):
        x.flags |= X_REPLAY_LOST
    # A deadline that the client has set does not stand for the route's
    if (
        unlikely(x.request_deadline == x.grpc_deadline) and x.route != NULL and x.route.request_timeout != 0
        and not x.flags & X_TUNNEL
    ):
        x.request_deadline = earlier(x.worker.loop.now + x.route.request_timeout, x.grpc_deadline)
        exchange_arm(x)
    if unlikely(first and x.route != NULL and x.route.try_timeout != 0) and not x.flags & (X_RESPONSE_BEGUN | X_TUNNEL):
        if x.try_deadline == 0:
            x.try_deadline = try_ends(x)
            exchange_arm(x)
    if unlikely(first and x.route != NULL and x.route.flags & ROUTE_HEDGED and x.hedge_at == 0):
        hedge_arm(x)
        exchange_arm(x)


cdef bint request_splices(Attempt *attempt) noexcept nogil:
    """Whether the rest of the body goes through a pipe: long, plain at both ends, and not to be kept for a replay."""
    cdef Exchange *x = attempt.exchange
    cdef uint64_t *remaining
    if x.up != NULL:
        return True
    if unlikely(x.flags & X_TUNNEL):
        return not x.flags & X_REQUEST_READ and tunnel_splices(
            x, &x.up, x.server_ops.plain_source(x, &remaining), attempt.ops.plain_sink(attempt)
        )
    if (
        likely(x.flags & X_REQUEST_READ)
        or attempt.replaying
        or not x.flags & X_REPLAY_LOST
        or x.mirrors != NULL
    ):
        return False
    if x.server_ops.plain_source(x, &remaining) == NULL or attempt.ops.plain_sink(attempt) == NULL:
        return False
    x.up = splice_get(&x.worker.splices)
    return x.up != NULL


cdef void request_splice(Attempt *attempt) noexcept nogil:
    cdef Exchange *x = attempt.exchange
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
        attempt.blocked = 1
    elif result == SPLICE_AGAIN:
        watch_make_ready(&source.watch)
    elif result == SPLICE_IDLE:
        if x.flags & X_TUNNEL and source != NULL and sink != NULL:
            tunnel_splice_rests(x, &x.up, source, x.bytes_received - before)
    elif result == SPLICE_SOURCE_ENDED:
        if x.flags & X_TUNNEL and not source.state & CONN_BROKEN:
            request_splice_ended(attempt)
        else:
            exchange_client_gone(x)
    elif result == SPLICE_SINK_ERROR:
        # An answer may have come before the reset: the client side reads on and reports
        sink.state |= CONN_HUNG_UP
        watch_make_ready(&sink.watch)


cdef void request_splice_ended(Attempt *attempt) noexcept nogil:
    """The client's FIN, in a tunnel; all that came before it is with the other side."""
    cdef Exchange *x = attempt.exchange
    x.flags |= X_REQUEST_READ
    attempt.body_sent = 1
    request_complete(x)
    if attempt.ops.send(attempt, SEND_END, NULL, 0) == CONN_DONE:
        tunnel_side_done(x, X_TUNNEL_UP_DONE)


cdef void request_send(Attempt *attempt, uint32_t flags) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef const char *data
    cdef size_t length
    cdef bint replaying
    cdef int result, sent
    while True:
        if not flags & SEND_HEAD and request_splices(attempt):
            request_splice(attempt)
            return
        result = request_body(attempt, &data, &length)
        # Asked afterwards: behind the last piece of the replay comes the first new one
        replaying = attempt.replaying
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
                attempt.blocked = 1
            return
        if result == BODY_END:
            if unlikely(x.flags & X_TUNNEL):
                tunnel_side_done(x, X_TUNNEL_UP_DONE)
            return
        if length == 0:
            return


cdef void attempt_pump(Attempt *attempt) noexcept nogil:
    if attempt.state == ATTEMPT_RUNNING and not attempt.blocked and not attempt.body_sent:
        request_send(attempt, 0)


cdef void request_broken(Exchange *x, int result) noexcept nogil:
    """The client broke off, or framed its body wrongly."""
    if result == BODY_ERROR:
        attempts_end(x)
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
    if x.flags & X_HOLDS_RETRY:
        if not x.cluster.config.retry_budget.enabled:
            return True
        x.flags &= ~<uint32_t>X_HOLDS_RETRY
        retry_place_release(x.cluster)
    return retry_place_acquire(x.cluster)


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


cdef void attempt_retry(Attempt *attempt) noexcept nogil:
    """A further try after the pause, whose place among the retries is taken; or the other one goes on."""
    cdef Exchange *x = attempt.exchange
    if unlikely(x.hedge != NULL):
        hedge_settle(x, attempt)
        exchange_arm(x)
        return
    x.cluster.stats.retries += 1
    x.try_deadline = 0
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
        if unlikely(attempt.judged_late):
            outcome_broken(attempt)
        exchange_give_up(x, flag)
        return
    untaken = flag == FLAG_UC and not attempt.answered and (attempt.reused or attempt.unread)
    replayed = untaken and x.replays < MOST_REPLAYS and request_can_repeat(x, reached)
    if not replayed:
        outcome_failure(attempt, flag)
    attempt_end(attempt)
    if unlikely(x.hedge != NULL):
        hedge_settle(x, attempt)
        exchange_arm(x)
        return
    if replayed:
        # The host closed the connection as we began to use it: nobody's failure, so it counts as no try
        x.flags |= X_FRESH
        x.replays += 1
        x.attempts -= 1
        x.tried_count -= 1
        x.worker.lane.header.replays += 1
        attempt_start(x)
        return
    if (
        x.route != NULL
        and retry_wants_failure(x.route, flag, reached)
        and request_can_repeat(x, reached)
        and retry_allowed(x, NULL)
    ):
        attempt_retry(attempt)
        return
    exchange_give_up(x, flag)


# -- the response -----------------------------------------------------------------------------------------------------

cdef bint answer_is_dropped(const Exchange *x, const Message *message) noexcept nogil:
    """Whether the route wants another try in place of this answer, and the request may be sent again.

    Who names a status of gRPC says that calls which ended so may be repeated, and all of them are POST.
    """
    if retry_wants_answer(x.table.image, x.route, message) and request_can_repeat(x, True):
        return True
    return x.flags & X_GRPC and grpc_wants_retry(x, message) and request_can_repeat(x, False)


cdef int attempt_on_head(Attempt *attempt, const Message *message) noexcept nogil:
    cdef Exchange *x = attempt.exchange
    cdef Host *host = attempt.host
    attempt.first_byte = x.worker.loop.now
    outcome_head(attempt, message)
    if unlikely(x.hedge != NULL):
        if not hedge_wins(attempt, message):
            return HEAD_RETRY
    elif (
        unlikely(x.route.retry_on != 0)
        and answer_is_dropped(x, message)
        and retry_allowed(x, message)
    ):
        return HEAD_RETRY
    if unlikely(x.flags & X_GRPC):
        grpc_head(x, message)
    elif unlikely(x.route.flags & ROUTE_GRPC):
        grpc_head_for_others(x, message)
    if unlikely(x.flags & X_HOLDS_RETRY):
        # The retrying is over, however long the answer goes on: a stream must not keep others from it
        x.flags &= ~<uint32_t>X_HOLDS_RETRY
        retry_place_release(x.cluster)
        x.cluster.stats.retries_succeeded += message.status < 500 and x.grpc_status <= 1
    if unlikely(message.framing == FRAMING_TUNNEL):
        farewell_follow(x, message)
    x.response = message
    x.status = message.status
    x.try_deadline = 0
    x.hedge_at = 0
    if x.route.flags & ROUTE_TIMEOUT_TO_HEAD:
        x.request_deadline = 0
    elif unlikely(x.route.late_timeout != 0) and x.request_deadline != 0:
        x.request_deadline += x.route.late_timeout
    if unlikely(x.grpc_deadline != 0):
        grpc_bound(x)
    x.sent_at = attempt.sent
    x.first_byte = attempt.first_byte
    x.series = exchange_series(x)
    histogram_expect(x.worker.lane, &x.series.duration, x.worker.loop.now - x.started)
    histogram_expect(x.worker.lane, &x.series.upstream, x.first_byte - x.sent_at)
    if x.answered_by == NULL:
        x.answered_by = host
        host_ref(host)
    return HEAD_FORWARD


cdef bint attempt_on_data(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil:
    cdef int result
    x.last_activity = x.worker.loop.now
    if unlikely(x.websocket.on):
        length = farewell_pass(x, data, length)
        if length == 0 and flags == 0:
            return farewell_say(x)
    x.bytes_sent += length
    if flags & SEND_HEAD:
        x.flags |= X_RESPONSE_BEGUN
    if flags & SEND_END:
        x.flags |= X_RESPONSE_ENDED
        if unlikely(x.flags & (X_GRPC | X_GRPC_ERROR)):
            if x.flags & X_GRPC:
                grpc_ended(x)
            elif flags & SEND_HEAD and length == 0:
                attempts_end(x)
                reply_grpc_error(x, x.response)
                return False
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
    return farewell_say(x) if unlikely(x.websocket.wanted) else True
