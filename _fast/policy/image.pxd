"""The table image: the compiled config as one flat, position-independent, read-only block.

Two segments, each a sealed memfd that every worker maps: the *routes* segment (listeners, routes, clusters)
and the *endpoints* segment (for every cluster its endpoints), so that churn of endpoints recompiles no
route. Every reference is an offset from the start of its own segment; 0 is none. Integers are in the
machine's own order; durations are nanoseconds. Structures are aligned to 8 bytes.

Written by `image_writer`, checked once by `image_open`, then trusted: readers do no bounds checks.
`id`s of listeners and routes are never used twice; a cluster or an endpoint has a `slot` (dense, used again
once every worker has let go) and a `generation` that tells two owners of a slot apart.
"""
from tulle._fast.base.types cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from tulle._fast.policy.adaptive cimport AdaptivePolicy
from tulle._fast.policy.breaker cimport BreakerPolicy
from tulle._fast.policy.ewma cimport EwmaPolicy
from tulle._fast.policy.lb_ring_hash cimport RingPolicy
from tulle._fast.policy.outlier cimport OutlierPolicy
from tulle._fast.policy.retry_budget cimport RetryBudget
from tulle._fast.policy.slow_start cimport SlowStartPolicy

cdef enum:
    IMAGE_LAYOUT = 12                  # raised by one with every change of these structures
    MAX_ENDPOINT_ADDRESS = 112         # bytes of the largest sockaddr
    MAX_PREFIX_SEGMENTS = 64           # slashes in a prefix of a path
    MAX_HOST_LENGTH = 253              # RFC 1035 section 2.3.4, less what is not text

cdef enum:  # "TULLEIMG", "TULLEEND"
    IMAGE_MAGIC = 0x494D4754
    ENDPOINTS_MAGIC = 0x454E4454

cdef struct Text:
    uint32_t offset
    uint32_t length

cdef struct Span:                      # `count` structures, one after the other
    uint32_t offset
    uint32_t count

# -- the routes segment ---------------------------------------------------------------------------------------------

cdef struct Image:
    uint32_t magic
    uint32_t layout
    uint64_t size                      # of the whole segment
    uint64_t version                   # of the config, rises with every reload
    Span listeners                     # ListenerEntry
    Span tables                        # TableEntry
    Span routes                        # RouteName, in the order of the file
    Span clusters                      # ClusterEntry; BackendEntry.cluster indexes it
    uint32_t flags
    uint32_t log_format                # LogFormat
    Span log_items                     # LogItem, of a text or json format
    uint64_t overload_memory           # limits over all workers; 0: none
    uint32_t overload_connections

cdef enum ListenerProtocol:
    PROTOCOL_HTTP = 0
    PROTOCOL_TCP
    PROTOCOL_AUTO

cdef enum ListenerFlags:
    LISTENER_ADD_FORWARDED_FOR = 1     # x-forwarded-for, x-forwarded-proto
    LISTENER_ADD_REQUEST_ID = 2
    LISTENER_ADD_VIA = 4
    LISTENER_ACCESS_LOG = 8
    LISTENER_MERGE_SLASHES = 16        # else `//` is kept, or with the next flag refused
    LISTENER_REFUSE_SLASHES = 32
    LISTENER_REFUSE_ESCAPED_SLASH = 64     # %2F and %5C in a path: 400
    LISTENER_DECODE_ESCAPED_SLASH = 128
    LISTENER_GRPC_WEB = 1024           # calls of gRPC-Web are translated
    LISTENER_TITLE_CASE = 2048         # names of fields in answers of HTTP/1, see `http/header_case`
    LISTENER_KEEP_CERTIFICATE = 4096   # x-forwarded-client-cert of clients that have shown a certificate goes on
    LISTENER_KEEP_CERTIFICATE_ALWAYS = 8192    # ... of all
    LISTENER_SET_CERTIFICATE = 16384   # what the client's own certificate says is added
    LISTENER_ANSWER_FIELDS = 256       # answers get fields of a policy of the listener's, see `answer_fields`

cdef struct ListenerEntry:
    uint32_t id
    uint32_t protocol                  # ListenerProtocol
    Text name
    uint32_t table                     # offset of a TableEntry
    uint32_t flags                     # ListenerFlags
    uint32_t trusted_hops
    uint32_t max_head                  # bytes
    uint32_t max_line                  # bytes
    uint32_t max_fields
    uint32_t max_connections           # of all workers together; 0: no limit
    uint32_t max_requests              # per connection; 0: no limit
    uint64_t max_body                  # bytes of a request body; 0: no limit
    uint64_t head_timeout              # for a whole request head, from its first byte (or from accept)
    uint64_t idle_timeout              # between requests
    Text via                           # of HTTP/1.0, 1.1 and 2 alike long: version and pseudonym
    Span rate_limits                   # RateRule
    uint32_t tls                       # index plus one of its set in the TLS material; 0: plain
    uint32_t max_streams               # of one HTTP/2 connection at once
    uint64_t handshake_timeout         # of TLS, from accept
    uint32_t guard                     # offset of a GuardEntry, or 0: nothing here asks who may
    uint32_t greeting                  # offset of a GreetingEntry, or 0: a connection begins with its own bytes
    uint64_t keepalive_interval        # of HTTP/2: silence after which a client is asked by PING; 0: never
    uint64_t keepalive_timeout         # ... and how long it has for the answer

cdef struct TableEntry:
    Text name
    uint32_t hosts                     # offset of HostSlot[host_mask + 1]: exact names, lower case, no port
    uint32_t host_mask
    uint32_t wildcards                 # HostSlot[]: "*.example.com" under the key ".example.com"
    uint32_t wildcard_mask
    uint32_t any_host                  # offset of a HostEntry, or 0
    uint32_t wildcard_labels           # dots in the longest wildcard key, a bound for the search

cdef struct HostSlot:                  # open addressing, linear probing; entry 0 ends a probe
    uint32_t hash
    uint32_t entry                     # offset of a HostEntry

cdef struct HostEntry:
    Text name                          # as the key
    uint32_t paths                     # offset of PathSlot[path_mask + 1]; exact paths and prefixes together
    uint32_t path_mask
    uint32_t max_segments              # slashes in the longest prefix: a bound for the search
    uint32_t flags                     # HostFlags
    Span patterns                      # PatternEntry, in order of precedence: between exact paths and prefixes
    uint32_t root                      # offset of a PathEntry: the prefix "/", or 0

cdef enum HostFlags:
    HOST_HAS_EXACT = 1
    HOST_HAS_PREFIX = 2

cdef struct PathSlot:
    uint32_t hash                      # of the path, and one apart for exact and prefix
    uint32_t entry                     # offset of a PathEntry

cdef enum PathKind:
    PATH_EXACT = 1
    PATH_PREFIX = 2                    # element-wise; stored without a trailing slash

cdef struct PathEntry:
    Text path
    uint32_t kind                      # PathKind
    uint32_t reserved
    Span matches                       # MatchEntry, in order of precedence

cdef struct PatternEntry:
    uint32_t dfa                       # offset of a DfaEntry
    uint32_t reserved
    Text pattern
    Span matches                       # MatchEntry

cdef struct MatchEntry:                # what is left to ask once host and path agree
    Text method                        # length 0: any
    Span headers                       # PredicateEntry; names in lower case
    Span queries                       # PredicateEntry
    uint32_t route                     # offset of a RouteEntry
    uint32_t id                        # of the route
    uint32_t named                     # offset of its RouteName
    uint32_t index                     # of the match within the route, for `explain`

cdef enum PredicateKind:
    PREDICATE_PRESENT = 0
    PREDICATE_EXACT
    PREDICATE_REGEX

cdef struct PredicateEntry:
    Text name
    Text value
    uint32_t kind                      # PredicateKind
    uint32_t dfa                       # offset of a DfaEntry

cdef struct DfaEntry:                  # whole match over bytes; state 0 is dead, state 1 is the start
    uint32_t states
    uint32_t classes
    uint8_t byte_class[256]
    uint32_t transitions               # offset of uint16_t[states * classes]
    uint32_t accepting                 # offset of a bitmap, a bit a state

cdef enum RouteKind:
    ROUTE_FORWARD = 0
    ROUTE_REDIRECT
    ROUTE_RESPONSE

cdef enum RouteFlags:
    ROUTE_ALLOW_CONNECT = 1
    ROUTE_ALLOW_UPGRADE = 2            # on by default
    ROUTE_REWRITE_HOST = 4
    ROUTE_RETRY_UNSAFE = 8             # POST and PATCH may be retried
    ROUTE_TIMEOUT_TO_HEAD = 16         # request_timeout is the default one: it ends with the response head (streams)
    ROUTE_HEDGED = 32                  # has a HedgePolicy
    ROUTE_GRPC = 64                    # leads to services of gRPC: who does not speak it gets errors as JSON
    ROUTE_POLICED = 65536              # there is something to ask before a request goes its way, see `policing`
    ROUTE_ANSWER_FIELDS = 131072       # answers get fields of a policy of the route's, see `answer_fields`

cdef enum PathEditKind:
    PATH_EDIT_NONE = 0
    PATH_EDIT_FULL                     # the query stays
    PATH_EDIT_PREFIX                   # the matched prefix is replaced

cdef enum RetryOn:
    RETRY_CONNECT_FAILURE = 1
    RETRY_RESET = 2                    # no response head: reset or closed, not connected, a time-out of a try
    RETRY_5XX = 4                      # and what RETRY_RESET has
    RETRY_GATEWAY_ERROR = 8            # 502, 503, 504 and what RETRY_RESET has
    RETRY_STATUSES = 16                # those of `retry_statuses`
    RETRY_4XX = 32                     # 409
    RETRY_HEADERS = 64                 # any of `retry_headers`
    RETRY_BEFORE_REQUEST = 128         # what RETRY_RESET has, as long as nothing of the request had been sent
    RETRY_REFUSED_STREAM = 256         # HTTP/2: the stream was refused
    # gRPC: an answer without any message has this grpc-status
    RETRY_GRPC_CANCELLED = 512
    RETRY_GRPC_DEADLINE_EXCEEDED = 1024
    RETRY_GRPC_INTERNAL = 2048
    RETRY_GRPC_RESOURCE_EXHAUSTED = 4096
    RETRY_GRPC_UNAVAILABLE = 8192
    RETRY_GRPC = 15872                 # any of these

cdef struct RouteName:                 # what is a route's own, and no lookup reads
    Text name
    uint32_t id
    uint32_t route                     # offset of its RouteEntry
    uint32_t guard                     # offset of a GuardEntry, or 0
    uint32_t grpc                      # offset of a uint64_t for each match, as Exchange.grpc_name; 0: none names any

# What a route does. Routes that do the same share one, so that of a hundred thousand most requests read the same lines
cdef struct RouteEntry:                # what every request reads comes first: two cache lines
    uint32_t kind                      # RouteKind
    uint32_t flags                     # RouteFlags
    uint32_t total_weight              # of all backends
    Span backends                      # BackendEntry; several: chosen by weight
    Span request_edits                 # FieldEdit, in the order remove, set, add
    Span response_edits
    uint64_t request_timeout           # from the request's last byte or head to the response's end; 0: none
    uint64_t try_timeout               # per try, to the response head; 0: none
    uint64_t idle_timeout              # without a byte in either direction; 0: none
    uint32_t path_edit                 # PathEditKind: rewrite or redirect
    uint32_t retry_on                  # RetryOn
    uint32_t retry_attempts            # further tries after the first
    uint32_t replay_bytes              # of request body that may be kept for a retry
    Span retry_statuses                # uint16_t
    uint64_t retry_base                # back-off: full jitter up to base * 2^n, at most retry_max
    uint64_t retry_max
    Text path_value
    Text host_value                    # rewrite or redirect; length 0: as it is
    Text scheme_value                  # redirect
    uint16_t port_value                # redirect; 0: none
    uint16_t status                    # redirect or fixed response
    uint32_t hedge                     # offset of a HedgePolicy, or 0
    Text body                          # fixed response
    Text content_type
    Span retry_headers                 # PredicateEntry, of the response
    uint64_t retry_after_max           # longest Retry-After that is waited for; 0: it is not heeded
    Span rate_limits                   # RateRule
    uint64_t late_timeout              # what request_timeout is longer, once the response has begun
    uint64_t max_body                  # bytes of a request body, in place of the listener's; 0: the listener's
    uint32_t fault                     # offset of a FaultEntry, or 0
    uint32_t cors                      # offset of a CorsEntry, or 0
    Span mirrors                       # MirrorEntry

cdef enum FieldEditKind:
    FIELD_EDIT_REMOVE = 0
    FIELD_EDIT_SET
    FIELD_EDIT_ADD

cdef struct FieldEdit:
    uint32_t kind                      # FieldEditKind
    uint32_t id                        # FieldId of the name
    Text name                          # as the user wrote it; compare without case
    Text value

cdef struct BackendEntry:
    uint32_t cluster                   # index into Image.clusters
    uint32_t weight_until              # running sum of weights: chosen when draw < weight_until
    uint32_t subset                    # index of the cluster's set of hosts, at this version; 0: all
    uint32_t reserved
    uint64_t subset_key                # of that set, which may have another index at another version

cdef enum Balancer:
    BALANCER_ROUND_ROBIN = 0
    BALANCER_LEAST_REQUEST
    BALANCER_RANDOM
    BALANCER_PEAK_EWMA
    BALANCER_RING_HASH
    BALANCER_MAGLEV

cdef enum ClusterProtocol:             # what endpoints are spoken to in
    CLUSTER_HTTP1 = 0
    CLUSTER_HTTP2                      # over TLS they must agree to it, else they are known to speak it
    CLUSTER_AUTO                       # what they choose, over TLS

cdef struct ClusterEntry:
    uint32_t slot
    uint32_t generation
    Text name
    uint32_t balancer                  # Balancer
    uint32_t choices                   # of least request and peak EWMA
    uint32_t max_connections           # limits over all workers; 0: no limit
    uint32_t max_pending
    uint32_t max_requests
    uint32_t max_retries
    uint64_t connect_timeout
    uint64_t pending_timeout           # how long a request may wait for a connection
    uint64_t pool_idle_timeout
    uint64_t pool_max_age              # of a connection, before jitter; 0: no limit
    uint32_t pool_max_requests         # per connection; 0: no limit
    uint32_t max_response_head         # bytes
    uint16_t protocol                  # ClusterProtocol
    uint16_t title_case                # of names of fields in requests of HTTP/1, see `http/header_case`
    uint32_t max_streams               # of one connection at once
    RetryBudget retry_budget
    uint64_t max_step_back             # that a Retry-After of a host is heeded; 0: not at all
    EwmaPolicy ewma
    OutlierPolicy outlier
    Span hash_on                       # HashItem, see policy/hash_policy.pxd
    Span affinity                      # HashItem of the cookie that names an endpoint, or none
    RingPolicy ring
    double bounded_load                # multiple of the mean; 0: no bound
    SlowStartPolicy slow_start
    BreakerPolicy breaker
    AdaptivePolicy adaptive
    uint32_t tls                       # as in ListenerEntry
    uint32_t proxy_protocol            # version of the header that its connections begin with; 0: none
    uint64_t keepalive_interval        # as in ListenerEntry, of endpoints; 0: see client_h2
    uint64_t keepalive_timeout

# -- the endpoints segment ------------------------------------------------------------------------------------------

cdef struct Endpoints:
    uint32_t magic
    uint32_t layout
    uint64_t size
    uint64_t version                   # of the routes segment that it goes with
    uint64_t serial                    # rises with every endpoints segment
    Span clusters                      # EndpointList, in the order of Image.clusters

cdef enum EndpointListFlags:
    ENDPOINTS_ZONE_AWARE = 1           # requests are counted by zone
    ENDPOINTS_FALL_BACK = 2            # a set of which nothing can be used gives way to that of all endpoints

cdef struct EndpointList:
    uint32_t offset                    # of EndpointEntry[count]
    uint32_t count
    uint64_t hash                      # of the list: a worker keeps its balancer state while it is the same
    Span sets                          # HostSetEntry; none: one set of one group, which has all endpoints in order
    uint32_t flags                     # EndpointListFlags
    uint32_t panic_threshold           # per cent of a priority; 0: there is never a panic

cdef struct HostSetEntry:              # the first has all endpoints, each of the others those of a subset
    uint64_t key                       # `subset_key`; 0: all
    Span groups                        # HostGroupEntry, by priority, and within one the own zone first

cdef struct HostGroupEntry:            # endpoints of one priority and, where the own zone is preferred, of one zone
    uint32_t priority
    uint32_t reserved
    Span members                       # uint32_t: indexes into the list
    Text zone                          # length 0: any, or none

cdef enum ZoneKind:
    ZONE_UNKNOWN = 0
    ZONE_OWN
    ZONE_OTHER

cdef struct EndpointEntry:
    uint32_t slot
    uint32_t generation
    uint32_t weight                    # 1 to 1,000,000
    uint32_t address_length
    uint32_t priority                  # 0 is preferred
    uint32_t zone_kind                 # ZoneKind
    Text address_text                  # "127.0.0.1:9001", for logs
    Text zone
    Text metadata                      # a JSON object, for people
    uint8_t address[112]               # struct sockaddr_in, _in6 or _un

# -- log formats ----------------------------------------------------------------------------------------------------

cdef enum LogFormat:
    LOG_OFF = 0
    LOG_TEXT
    LOG_JSON

cdef struct LogItem:                   # JSON: `name` is the key; text: a literal has operator 0
    uint32_t operator                  # LogOperator, see policy/log_operator.pxd
    uint32_t limit                     # at most so many bytes; 0: no limit
    Text name                          # literal text, JSON key
    Text argument                      # the header's name of REQ(..) and RESP(..)
    Text alternative                   # the header asked for when that one is absent

# -- reading --------------------------------------------------------------------------------------------------------

cdef inline const char *image_text(const void *segment, Text text) noexcept nogil:
    return <const char *>segment + text.offset

cdef inline const void *image_at(const void *segment, uint32_t offset) noexcept nogil:
    return <const char *>segment + offset

cdef inline const RouteEntry *image_route(const Image *image, uint32_t offset) noexcept nogil:
    return <const RouteEntry *>(<const char *>image + offset)

cdef inline const ClusterEntry *image_cluster(const Image *image, uint32_t index) noexcept nogil:
    return <const ClusterEntry *>(<const char *>image + image.clusters.offset) + index

cdef inline const EndpointList *image_endpoints(const Endpoints *endpoints, uint32_t cluster) noexcept nogil:
    return <const EndpointList *>(<const char *>endpoints + endpoints.clusters.offset) + cluster

# NULL when the block is not a whole segment of this layout
cdef const Image *image_open(const void *block, size_t size) noexcept nogil
cdef const Endpoints *endpoints_open(const void *block, size_t size) noexcept nogil
