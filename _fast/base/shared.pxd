"""Shared memory of all workers and the master: one memfd, mapped by each, laid out once.

    SharedHeader | ClusterLine[cluster_capacity][lane_capacity] | ClusterState[cluster_capacity]
        | AdaptiveState[cluster_capacity] | EndpointHealth[endpoint_capacity] | RateBucket[routes]
        | RateBucket[clients] | Lane 0 | ...

A worker writes its own lane and its own column of the cluster lines; readers add up. What all workers learn together,
the state of a cluster and the health of an endpoint, is changed by atomic operations only, and a change that moves
traffic raises the cluster's `epoch`. Counters only rise and survive their writer; gauges (of a lane header, `active`
members, cluster lines) are zeroed by the master once the writer has been reaped. The file is sparse: a page costs
memory when it is first written.

A lane's `Series` and histogram octaves are blocks of its arena. A block is reached only once it has been written, so a
reader, or the next owner after a kill, never sees a half-made series. Series of names that have gone are freed, and
their blocks used again: see `sweep`, also for how to read series while that goes on.
"""
from libc.string cimport memset

from tulle._fast.base.histogram cimport (
    HISTOGRAM_WIDE, Histogram, histogram_counters, histogram_octave, histogram_step,
)
from tulle._fast.base.types cimport int32_t, prefetch, uint32_t, uint64_t, uint8_t, unlikely

cdef enum:
    SHARED_MAGIC = 0x544C5348
    SHARED_LAYOUT = 11                 # raised by one with every change of these structures
    RESPONSE_CLASSES = 6               # index status / 100; 0: no response was sent
    FLAG_COUNT = 32                    # ResponseFlag bits

# Why a request ended as it did; Envoy's letters where Envoy has them (see flag_letters)
cdef enum ResponseFlag:
    FLAG_NR = 0                        # no route
    FLAG_UH                            # no healthy upstream host
    FLAG_UF                            # upstream connection failure
    FLAG_UO                            # upstream overflow: a circuit breaker limit
    FLAG_UC                            # upstream connection ended before the response did
    FLAG_UR                            # upstream reset
    FLAG_UT                            # upstream request timeout
    FLAG_UPE                           # upstream protocol error
    FLAG_URX                           # retry limit reached
    FLAG_DC                            # downstream connection ended first
    FLAG_DPE                           # downstream protocol error
    FLAG_DT                            # downstream timed out: request head or stream idle
    FLAG_RL                            # rate limited
    FLAG_DI                            # delay injected
    FLAG_FI                            # fault injected
    FLAG_UAEX                          # denied by external authorization
    FLAG_RBAC                          # denied by a policy
    FLAG_SI                            # stream idle timeout
    FLAG_LR                            # reset locally
    FLAG_OM                            # overload manager
    FLAG_DR                            # drained away before a response
    FLAG_PT                            # waited too long for a connection: pending timeout

cdef enum Limit:
    LIMIT_CONNECTIONS = 0
    LIMIT_PENDING
    LIMIT_REQUESTS
    LIMIT_RETRIES
    LIMIT_COUNT = 4

cdef enum:
    RATE_WAYS = 8                      # buckets of a set, two cache lines
    RATE_OWNER_SETS = 8192             # for limits that all requests of a route or a listener share
    RATE_CLIENT_SETS = 65536           # for those of one client each

cdef struct SharedHeader:
    uint32_t magic
    uint32_t layout
    uint64_t size
    uint32_t lane_capacity
    uint32_t lanes_used                # lanes 0 to lanes_used - 1 have been in use at some time; written by the master
    uint32_t cluster_capacity
    uint32_t endpoint_capacity
    uint64_t cluster_lines             # offsets from the start of the block
    uint64_t cluster_states
    uint64_t endpoint_health
    uint64_t lanes
    uint64_t lane_size
    uint64_t ring_size                 # of a lane's log ring, a power of two
    uint64_t arena_size
    uint32_t log_waiting               # 1: the logger sleeps, write to its eventfd after appending
    uint32_t draining                  # written by the master
    uint32_t workers                   # how many are meant to run; what a lane's share is counted from
    uint64_t rate_owners               # offset of RateBucket[RATE_OWNER_SETS * RATE_WAYS]
    uint64_t rate_clients              # offset of RateBucket[RATE_CLIENT_SETS * RATE_WAYS]
    uint32_t overload_connections      # 1: a connection was refused, and none has gone since
    uint32_t overload_memory           # 1: new requests are refused for want of memory
    uint64_t adaptive_states
    uint64_t secret[2]                 # the key of hashes of what clients choose; drawn when the block is made

cdef struct ClusterLine:               # one cache line per cluster and lane
    int32_t used[4]                    # Limit: how many this lane holds
    uint64_t oldest_waiter             # monotonic ns since when this lane's oldest pending request waits; 0: none
    uint32_t generation                # of the cluster that the line counts for
    uint32_t reserved[9]

cdef enum:
    BREAKER_BUCKETS = 8

cdef struct BreakerState:              # of a circuit breaker, see policy/breaker; two cache lines
    uint64_t word
    uint32_t opened                    # how often
    uint32_t half_opened
    uint32_t closed
    uint32_t reserved[11]
    uint64_t window[8]                 # BREAKER_BUCKETS

cdef struct ClusterState:              # what all workers know together
    uint32_t generation                # of the cluster that it is about
    uint32_t epoch                     # rises when an endpoint's availability changes: workers look again
    uint64_t retry_bucket              # arrival time of the token bucket of the retries that are always allowed
    uint64_t interval_ends             # of outlier detection, monotonic ns; who moves it on judges what is over
    uint64_t checks_passed             # active health checks; written by the checker
    uint64_t checks_failed
    uint64_t reserved[19]
    BreakerState breaker

cdef enum:
    ADAPTIVE_STEPS = 16                # an octave
    ADAPTIVE_BUCKETS = 384             # to over two minutes

cdef struct AdaptiveState:             # of a cluster with adaptive concurrency, see policy/adaptive
    uint32_t generation                # of the cluster that it is about
    uint32_t limit
    uint32_t running                   # 0: minRTT is being measured
    uint32_t lowest                    # windows in a row that ended at the least limit
    uint64_t since                     # monotonic ns, as all times here: requests that began earlier do not count
    uint64_t window                    # when the window began
    uint64_t turn                      # when it may be judged
    uint64_t measure_at                # when minRTT is to be measured again
    uint64_t min_rtt                   # 0: not measured yet
    uint64_t sampled                   # RTT of the last window that was judged
    uint32_t gradient                  # of that window, in thousandths
    uint32_t measurements              # how often minRTT was measured
    uint32_t samples                   # of the measurement
    uint32_t reserved[13]
    uint32_t buckets[384]              # ADAPTIVE_BUCKETS

cdef struct EndpointHealth:            # what every outcome reads is in the first cache line
    uint32_t generation                # of the endpoint that it is about
    uint32_t unhealthy                 # 1: active health checks failed; written by the checker
    uint64_t stepped_back              # monotonic ns until which it asked to be left alone; 0: it did not
    uint64_t ejected                   # 0, or until when outlier detection has taken it out: see policy/outlier
    uint32_t ejections                 # in a row, less those that were forgiven
    uint32_t run_5xx                   # failures in a row, over all workers
    uint32_t run_gateway
    uint32_t run_local
    uint32_t seen_answers              # what all lanes had counted when the last interval ended
    uint32_t seen_errors
    uint32_t seen_local
    uint32_t reserved[3]
    uint64_t latency                   # an EwmaSeed; written by any worker
    uint64_t joined                    # monotonic ns since when it has had traffic (again); 0: since the beginning
    uint64_t checked_since             # wall clock ns since when active checks find it as it is; 0: never checked
    uint32_t check_run                 # of active checks in a row that found it otherwise
    uint32_t check_failure             # of the last check that failed: see `base/health`
    uint32_t reserved_too[8]
    BreakerState breaker

cdef struct RateBucket:                # the two words change together, see `policy/rate_limit`
    uint64_t key                       # 0: free
    uint64_t arrival                   # monotonic ns at which the bucket is full

# -- a lane -----------------------------------------------------------------------------------------------------------

cdef enum LaneState:
    LANE_FREE = 0
    LANE_RUNNING
    LANE_DRAINING

cdef struct LaneHeader:
    uint32_t state                     # LaneState, written by the worker
    uint32_t pid
    # gauges
    uint32_t downstream_active         # connections
    uint32_t upstream_active
    uint32_t requests_active
    uint32_t buffers_active
    uint32_t tunnels_active
    uint32_t reserved
    # counters
    uint64_t downstream_total          # connections accepted
    uint64_t upstream_total            # connections opened
    uint64_t bytes_downstream_received
    uint64_t bytes_downstream_sent
    uint64_t bytes_upstream_received
    uint64_t bytes_upstream_sent
    uint64_t protocol_errors_downstream
    uint64_t protocol_errors_upstream
    uint64_t accept_paused             # times that this worker left a connection to others
    uint64_t accept_failures           # EMFILE and the like
    uint64_t accept_overflow           # closed at once: max_connections of a listener
    uint64_t log_lines
    uint64_t log_dropped               # the ring was full
    uint64_t series_overflow           # requests counted in nobody's series for want of room
    uint64_t replays                   # requests sent again after a keep-alive race
    uint64_t loop_wakeups
    uint64_t arena_used                # bytes of the arena that are, or were, in use
    uint64_t series_count              # gauge
    uint64_t series_freed              # of names that had gone
    uint64_t ring_head                 # bytes ever written to the ring
    uint64_t ring_tail                 # bytes ever taken; written by the logger
    # gauges
    uint64_t memory                    # bytes that connections and requests occupy
    uint32_t admitted                  # connections that have a place among those of `overload`
    uint32_t shed_active               # connections that have none, and wait for their 503
    # counters
    uint64_t refused_connections       # by `overload`
    uint64_t refused_requests          # by `overload`, for want of memory
    uint64_t http2_calmed              # HTTP/2 connections ended for what their peers did too often
    uint64_t rate_evictions            # buckets of clients that were in use and made way for another
    # handshakes of TLS that succeeded, those of them that resumed a session, and why others failed: net/tls TlsFailure
    uint64_t tls_downstream_handshakes
    uint64_t tls_downstream_resumed
    uint64_t tls_downstream_failed_certificate
    uint64_t tls_downstream_failed_no_certificate
    uint64_t tls_downstream_failed_name
    uint64_t tls_downstream_failed_protocol
    uint64_t tls_downstream_failed_alert
    uint64_t tls_downstream_failed_closed
    uint64_t tls_downstream_failed_timeout
    uint64_t tls_downstream_failed_plain
    uint64_t tls_downstream_failed_displaced
    uint64_t tls_upstream_handshakes
    uint64_t tls_upstream_resumed
    uint64_t tls_upstream_failed_certificate
    uint64_t tls_upstream_failed_no_certificate
    uint64_t tls_upstream_failed_name
    uint64_t tls_upstream_failed_protocol
    uint64_t tls_upstream_failed_alert
    uint64_t tls_upstream_failed_closed
    uint64_t tls_upstream_failed_timeout
    uint64_t tls_upstream_failed_plain
    uint64_t tls_upstream_failed_displaced
    uint64_t policy_unmatched          # requests denied because no policy allowed them
    uint64_t grpc_overflow             # gRPC calls that are in no GrpcStats, for want of room
    uint64_t tokens_known              # requests whose token was known already
    uint64_t tokens_verified           # tokens that were verified
    uint64_t tokens_missing            # requests refused because they had none
    uint64_t tokens_refused            # because it does not hold
    uint64_t tokens_unavailable        # because it could not be verified
    # connections by what their PROXY header was, in the order of ProxyOutcome
    uint64_t proxy_header_accepted
    uint64_t proxy_header_absent
    uint64_t proxy_header_missing
    uint64_t proxy_header_malformed
    uint64_t proxy_header_untrusted
    uint64_t proxy_header_timeout
    # connections by what they were found to speak, in the order of Detected; first those in the open, then within TLS
    uint64_t detected_plain_http1
    uint64_t detected_plain_http2
    uint64_t detected_plain_tls
    uint64_t detected_plain_tcp
    uint64_t detected_plain_silent
    uint64_t detected_plain_port
    uint64_t detected_tls_http1
    uint64_t detected_tls_http2
    uint64_t detected_tls_tls
    uint64_t detected_tls_tcp
    uint64_t detected_tls_silent
    uint64_t detected_tls_port
    uint64_t websocket_farewells       # that a drain has told to go, by a Close frame
    # connections of HTTP/2 whose peers did not answer a PING in time
    uint64_t http2_lost_downstream
    uint64_t http2_lost_upstream

cdef enum MirrorOutcome:
    MIRROR_ANSWERED = 0                # to the end
    MIRROR_FAILED
    MIRROR_ABANDONED                   # too slow for the body of the original

cdef enum HedgeOutcome:                # of a second try beside another
    HEDGE_WON = 0                      # the other one was given up
    HEDGE_LOST                         # it was given up
    HEDGE_REFUSED                      # there was no place, host or connection for it

cdef struct ClusterStats:              # per cluster slot, in every lane
    uint32_t generation                # counts are those of this owner of the slot
    uint32_t requests_active           # gauge
    uint64_t overflow[4]               # Limit: refused
    uint64_t retries                   # sent
    uint64_t retries_succeeded
    uint64_t retries_limited           # wanted, but the attempts, the limit or the replay buffer forbade it
    uint64_t connections_total
    uint64_t connect_failures
    uint64_t connect_timeouts
    uint64_t requests_total
    uint64_t request_timeouts
    uint64_t pending_timeouts
    uint64_t adaptive_refused          # the limit of adaptive concurrency was reached
    uint64_t panic_picks               # tries in a priority that was in a panic
    uint64_t zone_local                # tries, where the own zone is preferred
    uint64_t zone_other
    uint64_t subset_fallbacks          # tries with any host, for nothing of the subset could be used
    uint64_t ejections[8]              # OutlierReason
    uint64_t ejections_prevented       # one too many hosts would have been out
    uint64_t mirrored[3]               # MirrorOutcome
    uint64_t breaker_refused           # the circuit breaker was open
    uint64_t hedges[3]                 # HedgeOutcome

cdef struct EndpointStats:             # per endpoint slot, in every lane
    uint32_t generation
    uint32_t requests_active           # gauge
    uint32_t connections_active        # gauge
    uint32_t connections_idle          # gauge
    uint64_t requests_total
    uint64_t responses[6]              # RESPONSE_CLASSES
    uint64_t connect_failures
    uint64_t resets
    uint64_t timeouts
    uint64_t latency_sum               # ns to the response head, of successful tries
    uint64_t local_failures            # tries that ended without an answer
    uint64_t step_backs                # times that it asked to be left alone, by Retry-After

cdef enum:
    SERIES_SLOTS = 262144              # of a lane's index, open addressing; at most half of it is used
    SERIES_NOBODYS = 64                # offset in the arena of the series that counts what finds no room; in no index
    SERIES_DEAD = 0xFFFFFFFF           # in place of a listener: the series is about nothing any more

# Requests of one listener, route and cluster; what every request writes comes first
cdef struct Series:
    uint32_t listener                  # id; 0: none. Written last, and first replaced by SERIES_DEAD
    uint32_t route                     # id; 0: none
    uint32_t cluster                   # slot + 1; 0: none
    uint32_t cluster_generation
    uint64_t requests[6]               # RESPONSE_CLASSES
    uint64_t bytes_received
    uint64_t bytes_sent
    Histogram duration                 # first byte of the request to last byte of the response
    Histogram upstream                 # request sent to response head
    uint64_t flags[32]                 # ResponseFlag

cdef enum ArenaBlock:                  # what an arena consists of
    BLOCK_SERIES = 0
    BLOCK_NARROW                       # uint16_t[32]
    BLOCK_WIDE                         # uint64_t[32], and the place of the narrow ones that they replace
    BLOCK_KINDS = 3

cdef enum:
    LISTENER_SLOTS = 512               # of listeners that live at a time, no two have ids that are the same modulo this

cdef enum:
    POLICY_SLOTS = 256                 # of policies that live at a time, whose ids are likewise apart

cdef struct PolicyStats:
    uint32_t policy                    # id, of the newest that has this slot; 0: none yet
    uint32_t reserved
    uint64_t outcomes[6]               # PolicyOutcome

cdef struct Lane:
    LaneHeader header
    PolicyStats policies[256]          # by id modulo POLICY_SLOTS
    int32_t listeners[512]             # gauge: connections of the listener whose id is the index modulo LISTENER_SLOTS
    # offsets from the start of the lane
    uint64_t cluster_stats             # ClusterStats[cluster_capacity]
    uint64_t endpoint_stats            # EndpointStats[endpoint_capacity]
    uint64_t series_index              # uint32_t[SERIES_SLOTS]: arena offset / 8 of a Series, 0: free; one of two
    uint64_t series_indexes            # of the first of the two
    uint64_t grpc_stats                # GrpcStats[GRPC_SLOTS], see `grpc_stats`
    uint64_t arena
    uint64_t ring
    uint64_t free_blocks[3]            # ArenaBlock: arena offset of the first free one; its second word: of the next
    uint32_t series_copied             # slots below this one are in the other index too, see `sweep`
    uint32_t series_both               # series that were entered into both for that
    uint32_t series_swaps              # how often the other index became the one in use

# Bytes of a block with that many lanes and slots
cdef uint64_t shared_size(uint32_t lanes, uint32_t clusters, uint32_t endpoints) noexcept nogil
cdef void shared_layout(void *block, uint32_t lanes, uint32_t clusters, uint32_t endpoints) noexcept nogil
# NULL when the block has another layout
cdef SharedHeader *shared_open(void *block, uint64_t size) noexcept nogil

cdef inline Lane *shared_lane(SharedHeader *shared, uint32_t lane) noexcept nogil:
    return <Lane *>(<char *>shared + shared.lanes + lane * shared.lane_size)

cdef inline ClusterLine *shared_cluster_lines(SharedHeader *shared, uint32_t slot) noexcept nogil:
    """The lines of a cluster, one a lane."""
    return <ClusterLine *>(<char *>shared + shared.cluster_lines) + <uint64_t>slot * shared.lane_capacity

cdef inline ClusterState *shared_cluster_state(SharedHeader *shared, uint32_t slot) noexcept nogil:
    return <ClusterState *>(<char *>shared + shared.cluster_states) + slot

cdef inline AdaptiveState *shared_adaptive_state(SharedHeader *shared, uint32_t slot) noexcept nogil:
    return <AdaptiveState *>(<char *>shared + shared.adaptive_states) + slot

cdef inline RateBucket *shared_rate_owners(SharedHeader *shared) noexcept nogil:
    return <RateBucket *>(<char *>shared + shared.rate_owners)

cdef inline RateBucket *shared_rate_clients(SharedHeader *shared) noexcept nogil:
    return <RateBucket *>(<char *>shared + shared.rate_clients)

cdef inline EndpointHealth *shared_endpoint_health(SharedHeader *shared, uint32_t slot) noexcept nogil:
    return <EndpointHealth *>(<char *>shared + shared.endpoint_health) + slot

# Those of a slot, cleared when they are about a former owner. Any worker may be the first that uses a new owner
cdef ClusterState *cluster_state_take(SharedHeader *shared, uint32_t slot, uint32_t generation) noexcept nogil
cdef AdaptiveState *adaptive_state_take(SharedHeader *shared, uint32_t slot, uint32_t generation) noexcept nogil
cdef EndpointHealth *endpoint_health_take(SharedHeader *shared, uint32_t slot, uint32_t generation) noexcept nogil

cdef inline bint breaker_used(const BreakerState *state) noexcept nogil:
    """Whether it has seen a request."""
    cdef uint64_t seen = state.word
    cdef int bucket
    for bucket in range(BREAKER_BUCKETS):
        seen |= state.window[bucket]
    return seen != 0

cdef inline ClusterStats *lane_cluster(Lane *lane, uint32_t slot) noexcept nogil:
    return <ClusterStats *>(<char *>lane + lane.cluster_stats) + slot

cdef inline EndpointStats *lane_endpoint(Lane *lane, uint32_t slot) noexcept nogil:
    return <EndpointStats *>(<char *>lane + lane.endpoint_stats) + slot

cdef inline void lane_count_policy(Lane *lane, uint32_t policy, int outcome) noexcept nogil:
    """What a former owner of the slot, in a table that is still in use, goes on deciding is not counted any more."""
    cdef PolicyStats *stats = &lane.policies[policy & (POLICY_SLOTS - 1)]
    if unlikely(stats.policy != policy):
        if stats.policy > policy:
            return
        memset(stats, 0, sizeof(PolicyStats))
        stats.policy = policy
    stats.outcomes[outcome] += 1

# With as many series as there are routes, their memory is rarely in cache. It is asked for in three steps, each long
# enough before the next for what it has asked for to be there: the place in the index, of which the number is answered;
# what lies at that place, which may be another series; the counters of two durations
cdef uint32_t lane_series_expect(
    Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil
cdef inline void lane_series_fetch(Lane *lane, uint32_t slot) noexcept nogil:
    cdef uint64_t place = (<const uint32_t *>(<char *>lane + lane.series_index))[slot]
    cdef const char *series = <char *>lane + lane.arena + place * 8
    cdef int line
    for line in range(5):
        prefetch(series + 64 * line)
cdef inline uint64_t lane_other_index(const Lane *lane) noexcept nogil:
    """Offset of the index that is not in use."""
    return 2 * lane.series_indexes + SERIES_SLOTS * 4 - lane.series_index

cdef inline void arena_give(Lane *lane, int kind, uint64_t offset) noexcept nogil:
    """A block that nothing leads to any more is free for another of its kind."""
    (<uint64_t *>(<char *>lane + lane.arena + offset))[1] = lane.free_blocks[kind]
    lane.free_blocks[kind] = offset

# Have an index, not full, lead to a series
cdef void series_enter(Lane *lane, uint64_t index, uint32_t place) noexcept nogil
# The lane's series of these ids, made when absent. Never NULL: when there is no room, nobody's
cdef Series *lane_series(
    SharedHeader *shared, Lane *lane, uint32_t listener, uint32_t route, uint32_t cluster, uint32_t generation
) noexcept nogil
cdef inline void histogram_expect(Lane *lane, const Histogram *histogram, uint64_t nanoseconds) noexcept nogil:
    cdef uint32_t octave = histogram_octave(nanoseconds)
    cdef uint32_t place = histogram.octaves[octave]
    cdef const char *counters = <const char *>histogram_counters(<char *>lane + lane.arena, place)
    prefetch(counters + 8 * histogram_step(nanoseconds, octave) if place & HISTOGRAM_WIDE else counters)

# Count so many in one bucket; False when the arena is full
cdef bint histogram_count(
    SharedHeader *shared, Lane *lane, Histogram *histogram, uint32_t octave, uint32_t step, uint64_t count
) noexcept nogil
cdef void histogram_record(SharedHeader *shared, Lane *lane, Histogram *histogram, uint64_t nanoseconds) noexcept nogil
