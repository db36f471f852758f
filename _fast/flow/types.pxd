"""The structures that `flow` is assembled from; their rooms hold the functions.

    Worker        all there is: loop, slabs, tables, listeners, clusters            worker.pyx
    Table         a routes and an endpoints segment, counted by reference           table.pyx
    Cluster, Host what outlives a table: balancer, pools, queue of waiters          upstream.pyx
    Mirror        the server side of an exchange that is a copy of another            mirror.pyx
    Exchange      one request and its answer, whatever protocols carry them         exchange.pyx
    Attempt       one try to have it answered: a host, a connection, times          exchange.pyx
    Upstream      a connection to a host                                            pool.pyx, client_h1, client_h2.pyx
    Server        a connection from a client                                        server_h1.pyx, server_h2.pyx

An exchange knows its two sides only through `ServerOps` and `ClientOps`. Calls go downwards: listener, server and
client sides call the exchange, the exchange calls the pool; what must go up goes through `Hooks` or the ops.
"""
from tulle._fast.base.buf cimport Buf, BufPool
from tulle._fast.base.idmap cimport IdMap
from tulle._fast.base.list cimport Node
from tulle._fast.base.random cimport Random
from tulle._fast.base.shared cimport (
    AdaptiveState, ClusterLine, ClusterState, ClusterStats, EndpointHealth, EndpointStats, Lane, Series, SharedHeader,
)
from tulle._fast.base.slab cimport Slab
from tulle._fast.base.sweep cimport Sweep
from tulle._fast.base.timer cimport Timer
from tulle._fast.base.types cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from tulle._fast.http.h1_chunk cimport ChunkDecoder
from tulle._fast.http.h1_connection cimport ConnectionNames
from tulle._fast.http.h1_write cimport Extra
from tulle._fast.http.hpack_encode cimport HpackLookup
from tulle._fast.http.message cimport Message
from tulle._fast.http.websocket_frames cimport WebSocketTrack
from tulle._fast.net.conn cimport Conn, ConnOps
from tulle._fast.net.loop cimport Loop, Watch
from tulle._fast.net.splice cimport Splice, SplicePool
from tulle._fast.net.tls_context cimport TlsEngine, TlsSet, TlsSets
from tulle._fast.net.tls_library cimport SSL_SESSION
from tulle._fast.policy.authorization cimport PolicyEntry
from tulle._fast.policy.balancer cimport HostLoad
from tulle._fast.policy.hash_policy cimport HashItem
from tulle._fast.policy.host_groups cimport HostGroups
from tulle._fast.policy.image cimport (
    BackendEntry, ClusterEntry, Endpoints, Image, ListenerEntry, RouteEntry, RouteName, Text,
)
from tulle._fast.policy.latency_window cimport LatencyWindow
from tulle._fast.policy.token cimport TokenEntry

cdef enum:
    MAX_LANES = 256
    EXTRAS_MAX = 320                   # fields that we add to one head
    HOST_TEXT = 120
    TRIED_HOSTS = 4
    COOKIE_TEXT = 512                  # bytes of a Set-Cookie that is made for one head
    FIELD_TEXT = 2048                  # bytes of a value that is made for one head

# -- tables -----------------------------------------------------------------------------------------------------------

cdef struct Mapping:                   # one mapped segment
    void *block
    size_t size
    uint32_t refs

cdef struct Table:
    Node node                          # in Worker.tables, oldest first
    Mapping *routes
    Mapping *segment
    const Image *image
    const Endpoints *endpoints
    TlsSets *tls                       # what `tls` of listeners and clusters refers to; NULL: nothing
    uint64_t version
    uint64_t serial
    uint32_t refs                      # exchanges, plus one while it is the current table

# -- upstream ---------------------------------------------------------------------------------------------------------

cdef struct Host:                      # one endpoint of one cluster, as this worker knows it
    Node node                          # in Cluster.all_hosts
    Cluster *cluster
    EndpointStats *stats
    EndpointHealth *health             # shared with all workers
    HostLoad load
    Attempt *probe                     # that decides whether outlier detection lets it back in; else NULL
    uint64_t probe_token               # see policy/outlier
    bint well                          # available as of the last look, whether it steps back or not
    uint64_t token                     # names it in a cookie of session affinity; never 0
    Node idle                          # Upstream.node, the most recently used first
    uint32_t idle_count
    uint32_t connections
    Node shared                        # ClientH2.node: connections that carry several requests at once
    uint32_t slot
    uint32_t generation
    bint listed                        # in Cluster.hosts, or `meant`; else no longer in the endpoint list
    bint anywhere                      # stands for wherever a connection was meant for, see interception
    bint meant                         # made for one such destination
    uint32_t meant_bucket              # in Cluster.meant
    Host *next_meant                   # in the same bucket
    uint32_t attempts                  # that point here
    uint32_t requests                  # attempts under way
    uint16_t address_length
    uint16_t text_length
    uint8_t alpn                       # TlsAlpn that the last handshake came to
    SSL_SESSION *session               # to resume with the next connection, made within `session_trust`; or NULL
    uint8_t session_trust[16]
    char address[112]
    char text[120]

cdef inline Host *host_of_load(HostLoad *load) noexcept nogil:
    cdef Host *null = NULL
    return <Host *>(<char *>load - <size_t>&null.load)

cdef struct Cluster:
    Node node                          # in Worker.all_clusters
    Worker *worker
    uint32_t slot
    uint32_t generation
    ClusterLine *lines
    ClusterStats *stats
    ClusterState *state                # shared with all workers
    AdaptiveState *adaptive            # likewise; NULL until its policy is on
    uint32_t epoch                     # of `state`, as of which the hosts' `available` is
    uint64_t looked                    # when that was, monotonic ns; 0: not yet
    bint weighed                       # the weights in `groups` are in thousandths: of slow start
    uint64_t look_at                   # when that may change by itself, monotonic ns
    ClusterEntry config                # of the newest table that was used
    uint64_t config_version
    TlsSet *tls                        # of `config`; NULL: plain
    uint64_t endpoints_hash
    bint endpoints_known
    HostGroups groups                  # of `hosts`
    uint64_t name_hash                 # for the tokens of its hosts
    uint32_t *tokens                   # indexes plus one into `hosts` by token, made when first needed; see affinity
    uint32_t token_mask
    Host **hosts                       # those of the endpoint list
    uint32_t host_count
    Node all_hosts
    Host **meant                       # hosts by where connections were meant for, see interception; else NULL
    Node waiters                       # Attempt.waiting, the oldest first
    uint32_t waiter_count
    uint32_t idle_count                # connections in the pools of its hosts
    LatencyWindow *recent              # once a route hedges by a quantile of it; else NULL
    uint32_t exchanges                 # that point here
    uint64_t seen_version              # newest table that was found to have it, by cluster_sweep

cdef enum UpstreamState:
    UPSTREAM_CONNECTING = 0
    UPSTREAM_IDLE
    UPSTREAM_BUSY

cdef struct Upstream:
    Conn conn                          # first
    Worker *worker
    Host *host
    Attempt *attempt                   # NULL while idle, and when it speaks HTTP/2
    void *h2                           # ClientH2 *; NULL: HTTP/1
    Node node                          # in Host.idle while idle
    uint64_t expires                   # no new request after this
    uint64_t introduced                # whom its PROXY header names, see `introduction`; 0: it began without one
    uint32_t requests                  # begun on it
    uint8_t state                      # UpstreamState
    uint8_t reusable                   # nothing seen that forbids another request
    uint8_t head_done                  # the final response head has been taken
    uint8_t framing                    # of the response body
    uint8_t chunked_out                # the request goes out in chunks
    uint8_t trailers                   # the response's trailer section is next
    uint8_t session_kept               # raw TCP: of TLS, to be resumed by another connection
    uint64_t remaining                 # of a body with a length
    ChunkDecoder chunks
    ConnectionNames names              # of the head of a chunked response
    Message *response                  # while a head is being parsed and passed on
    Message *trailer_section           # while one is being parsed and passed on

# -- exchange ---------------------------------------------------------------------------------------------------------

cdef enum SendFlags:
    SEND_HEAD = 1                      # begin with the head
    SEND_END = 2                       # nothing follows

cdef enum BodyResult:
    BODY_MORE = 0                      # nothing now
    BODY_DATA = 1
    BODY_END = 2                       # no more; there may be last bytes with it
    BODY_ERROR = -1
    BODY_GONE = -2                     # the sender has left

cdef struct Meant:
    uint32_t length                    # of the address
    char address[28]                   # sockaddr_in or _in6

cdef struct ServerOps:                 # what an exchange asks of the side that the request came from
    # the head of x.response and/or body bytes, with SEND_END also x.trailers; a CONN_* result, and after CONN_BLOCKED
    # the exchange waits for exchange_server_drained
    int (*send)(Exchange *x, uint32_t flags, const char *data, size_t length) noexcept nogil
    int (*send_informational)(Exchange *x, const Message *message) noexcept nogil
    # an answer of our own, whole: status, fields, body
    int (*reply)(Exchange *x, uint16_t status, uint32_t extras, const char *body, size_t length) noexcept nogil
    # this end of the client's connection, with the port, in ADDRESS_TEXT bytes; answers its length
    uint32_t (*local_address)(Exchange *x, char *text) noexcept nogil
    # where a redirected connection was meant for; NULL: that is not known
    const Meant *(*meant)(Exchange *x) noexcept nogil
    # the connection, when body bytes may be written to it as they are, past its queue; else NULL
    Conn *(*plain_sink)(Exchange *x) noexcept nogil
    # the connection, when the request body can be read off it as it is; `*remaining` is to be counted down
    Conn *(*plain_source)(Exchange *x, uint64_t **remaining) noexcept nogil
    # the next body bytes, good until the next call: BodyResult
    int (*read_body)(Exchange *x, const char **data, size_t *length) noexcept nogil
    # the exchange is over and will be freed: go on to the next request, or close (`keep` 0), or cut off (`cut` 1)
    void (*finished)(Exchange *x, bint keep, bint cut) noexcept nogil

cdef struct ClientOps:                 # what an exchange asks of the side that it forwards to
    # the head of the request and/or body bytes, with SEND_END also x.trailers; a CONN_* result
    int (*send)(Attempt *attempt, uint32_t flags, const char *data, size_t length) noexcept nogil
    Conn *(*plain_sink)(Attempt *attempt) noexcept nogil        # as in ServerOps
    void (*resume)(Attempt *attempt) noexcept nogil             # the other side can take more
    void (*cancel)(Attempt *attempt) noexcept nogil             # leave the connection, which is of no more use

cdef enum AttemptState:
    ATTEMPT_NONE = 0
    ATTEMPT_WAITING                    # for a connection to be allowed
    ATTEMPT_CONNECTING
    ATTEMPT_RUNNING

cdef struct Attempt:
    Exchange *exchange
    Host *host
    Upstream *upstream
    const ClientOps *ops
    void *call                         # HTTP/2: ClientStream *, once the head is sent
    Node waiting                       # in Cluster.waiters; HTTP/2: in a list of the connection's
    uint64_t waiting_since
    uint64_t started                   # monotonic ns, as all times here; 0: not yet
    uint64_t connected
    uint64_t sent                      # request head written
    uint64_t first_byte                # response head complete
    uint64_t cluster_token             # places in half-open rounds of circuit breakers, 0: none; see breaking
    uint64_t host_token
    uint8_t state                      # AttemptState
    uint8_t reused                     # on a connection that had carried a request before
    uint8_t delivered                  # some of the request is with the kernel: the application may have seen it
    uint8_t answered                   # a byte of the response was seen
    uint8_t unread                     # the application did not take the request, as far as the connection tells
    uint8_t body_sent                  # the whole request is sent
    uint8_t blocked                    # the connection takes no more now
    uint8_t replaying                  # body bytes come from the replay buffer
    uint8_t judged_late                # gRPC: the answer has begun, and its trailers will tell what came of it
    Buf *replay_next                   # replaying: the next one to send

cdef enum ExchangeFlags:
    X_REQUEST_READ = 1                 # the whole request body has been read from the server side
    X_RESPONSE_BEGUN = 2               # a final head was sent to the client
    X_RESPONSE_ENDED = 4               # all of the response was handed to the server side
    X_GRPC_ERROR = 8                   # the answer is a failed call's, and goes to a client that does not speak gRPC
    X_SERVER_BLOCKED = 16              # the downstream connection takes no more now
    X_HOLDS_REQUEST = 32               # holds a place of LIMIT_REQUESTS
    X_HOLDS_RETRY = 64                 # holds a place of LIMIT_RETRIES
    X_REPLAY_LOST = 128                # body bytes were sent that are not kept: no retry
    X_FRESH = 256                      # next try on a new connection only
    X_TUNNEL = 1024                    # after 101 or CONNECT: bytes both ways until both ends
    X_KEEP_ALIVE = 2048                # the client allows another request
    X_BACKOFF = 4096                   # the timer runs for the next try
    X_DETACHED = 8192                  # request head and table were let go
    X_TUNNEL_UP_DONE = 16384           # tunnel: the client has sent its FIN
    X_TUNNEL_DOWN_DONE = 32768         # tunnel: the upstream has sent its FIN
    X_LOCAL_REPLY = 131072
    X_CONNECT = 262144                 # the request is a CONNECT that the route allows
    X_UPGRADE = 524288                 # an upgrade was asked for and passed on
    X_HELD = 2097152                   # X_BACKOFF, but before the first try: a delay was injected
    X_PREFLIGHT = 4194304              # answered here: what may be sent across origins was asked for
    X_MIRROR = 8388608                 # a copy; `server` is a Mirror
    X_RAW = 268435456                  # no HTTP: the bytes of a connection as they are, see server_tcp
    X_TLS = 16777216                   # the client's connection is one of TLS
    X_GRPC = 33554432                  # a gRPC call, see grpc
    X_GRPC_WEB = 67108864              # ... of gRPC-Web; `server_ops` is a WebCall
    X_AWAITS = 536870912               # in Token.waiting: held until its token is verified
    X_ANSWER_FIELDS = 1048576          # the answer gets fields of a policy, see `answer_fields`

cdef struct Exchange:
    Worker *worker
    void *server                       # the server side's own structure
    const ServerOps *server_ops
    Table *table
    const ListenerEntry *listener
    const RouteEntry *route            # what it does
    const RouteName *named             # what it is called
    Cluster *cluster
    const ClusterEntry *settings       # of the cluster in this table; NULL once that has been let go
    const HashItem *cookie             # that was made for the hash, in this table's image; else NULL
    uint64_t cookie_value
    uint64_t hash                      # what ring hash and Maglev go by, once `hashed`
    uint64_t affinity                  # the token in the request's cookie; 0: none
    uint32_t series_slot               # where in the lane's index the series is, or may be
    Series *series                     # once an answer is coming, and while the table keeps its ids; else NULL
    Message *request
    Buf *request_buf                   # pins the bytes of the request head
    const Message *response            # while its head is being passed on
    const Message *trailers            # of the body that ends now, in either direction; else NULL
    const char *peer                   # the client's address as text, without port
    uint32_t peer_length
    const char *detail                 # why the last connection failed, in words that live for ever; NULL: not known
    const char *principal              # who the client's certificate says it is; NULL: nobody
    uint32_t principal_length
    uint32_t certificate_length
    const char *certificate            # x-forwarded-client-cert of the client's certificate; NULL: it has none
    const PolicyEntry *policy          # that has denied it, in this table's image; else NULL
    const TokenEntry *token_entry      # what was asked of its token, likewise
    Token *token                       # that was verified; else NULL
    Node awaiting                      # in Token.waiting
    uint8_t token_state                # TokenState
    uint8_t token_reason               # TokenReason
    const char *target                 # as sent upstream, when it is not as it came; in path_buf or target_buf
    uint32_t target_length
    Text cluster_name                  # in the table's image
    Attempt *attempt                   # the try that the exchange goes by, never NULL
    Attempt *hedge                     # another one under way beside it; else NULL
    Timer timer
    uint32_t flags                     # ExchangeFlags
    uint32_t response_flags            # a bit per ResponseFlag
    uint32_t listener_id
    uint32_t route_id
    uint16_t status                    # sent, or about to be
    uint8_t method                     # Method
    uint8_t attempts                   # begun so far
    uint8_t tried_count
    uint8_t version_minor              # of the client's HTTP/1
    uint8_t replays                    # made so far
    uint8_t hedges                     # begun so far
    Host *tried[4]
    const char *path                   # normalised; in the request's bytes or in path_buf
    uint32_t path_length
    uint32_t prefix_length
    Buf *path_buf
    Buf *target_buf                    # holds `target` where path_buf has no room for it
    Buf *replay                        # body bytes already sent once, kept for another try
    Buf *replay_last
    uint32_t replay_bytes
    uint32_t cluster_generation
    uint32_t subset                    # of the backend that was drawn, as in BackendEntry
    uint64_t subset_key
    uint64_t max_body                  # bytes of the request body; 0: no limit
    Mirror *mirrors                    # copies that are to get the rest of the body
    # times, monotonic ns
    uint64_t started                   # first byte of the request
    uint64_t request_deadline
    uint64_t try_deadline
    uint64_t hedge_at                  # see hedge; 0: never
    uint64_t backoff_until
    uint64_t last_activity
    uint64_t idle_timeout
    uint64_t first_byte                # of the response, passed on
    uint64_t sent_at                   # the try that was answered: request sent
    uint64_t connect_time              # ns it took, 0 on a reused connection
    uint64_t request_ended             # last byte of the request read
    uint64_t wall_started              # wall clock ns
    uint64_t grpc_deadline             # that the client has set; 0: none
    uint64_t grpc_name                 # number of the service and method that the route's match names; 0: it names none
    uint64_t bytes_received            # body bytes
    uint64_t bytes_sent
    uint32_t request_id_length
    char request_id[40]
    Host *answered_by                  # for the log; counted in Host.attempts
    Splice *up                         # request body bytes on their way through a pipe
    Splice *down                       # response body bytes
    Buf *log_copy                      # what the access log needs of a detached exchange
    uint16_t peer_port
    uint8_t log_json                   # the copy is of a JSON line
    uint8_t hashed
    uint8_t tls_failure                # TlsFailure that `detail` tells of
    uint8_t grpc_status                # GrpcStatus plus one; 0: not known
    uint8_t grpc_sized                 # the answer has a length, and so cannot end before it
    uint16_t detected                  # what the connection was found to speak, see `detection`; 0: it was not asked
    WebSocketTrack websocket           # of the bytes to the client, once it is one
    uint32_t retry_after               # seconds, to be said with an answer of our own; 0: nothing
    Attempt first                      # what `attempt` points to in the beginning
    Attempt second                     # last: nobody reads it before it begins

cdef enum TokenState:                  # of an exchange
    TOKEN_UNASKED = 0
    TOKEN_WAITING
    TOKEN_GOOD                         # it was verified; from here on waited for no more
    TOKEN_REFUSED
    TOKEN_UNAVAILABLE
    TOKEN_SETTLED                      # nothing is left to ask

cdef enum TokenReason:                 # why a token does not hold; up to LATER as in proxy/tokens/verify.py
    TOKEN_REASON_NONE = 0
    TOKEN_REASON_MALFORMED
    TOKEN_REASON_ALGORITHM
    TOKEN_REASON_ISSUER
    TOKEN_REASON_KEY
    TOKEN_REASON_SIGNATURE
    TOKEN_REASON_AUDIENCE
    TOKEN_REASON_EXPIRED
    TOKEN_REASON_NOT_YET_VALID
    TOKEN_REASON_LATER
    TOKEN_REASON_MISSING
    TOKEN_REASON_SEVERAL

cdef enum:
    TOKEN_CHAINS = 2048

cdef struct Token:                     # see token_table
    Node chain                         # in TokenTable.chains
    Node order                         # in TokenTable.known, the one used last first, or in TokenTable.questions
    Node waiting                       # Exchange.awaiting
    uint64_t hash
    uint64_t asked                     # what is asked of it, as in TokenSource
    uint64_t number                    # of the question
    uint64_t expires                   # wall clock ns
    char *text
    char *claims                       # records, see policy/claims
    uint32_t length
    uint32_t claims_length
    uint32_t refs                      # exchanges that use it
    uint8_t verified
    uint8_t sent                       # asked about, and not answered yet
    uint8_t tries                      # how often it was sent
    uint8_t dropped                    # out of the table: freed with the last that uses it

cdef struct TokenTable:
    Node chains[2048]                  # Token.chain
    Node known                         # Token.order of those that were verified
    Node questions                     # Token.order of the others, in the order in which they came
    uint64_t numbers                   # given out so far
    size_t bytes                       # of tokens and claims in `known`
    uint32_t count
    uint32_t asking
    uint32_t waiters                   # exchanges
    char answer[33024]                 # the longest that the verifier gives

cdef struct Verifier:                  # how this worker reaches the process that verifies tokens
    Watch watch                        # our end of the pair; fd -1: there is none
    Timer timer                        # asks again
    int door                           # where the other end goes; -1: there is none
    uint64_t keys[2]                   # by what tokens in the table were verified

cdef struct Mirror:
    Exchange *exchange
    char *certificate                  # what its exchange points to, for the client's connection may be gone
    Exchange *source                   # the original, while it has body bytes to come
    Mirror *next                       # of the same original
    Buf *first                         # body bytes that are not sent yet
    Buf *last
    Buf *given                         # handed out, good until the next is asked for
    uint32_t queued                    # bytes from `first` to `last`
    const BackendEntry *goal           # in the table, until the exchange lets go of that
    uint8_t complete                   # the whole body is here or sent
    uint8_t answered
    uint8_t abandoned
    uint8_t suffix                     # append to the host
    char peer[64]

# -- the worker -------------------------------------------------------------------------------------------------------

cdef struct Listener:
    Watch watch                        # first
    Node node                          # in Worker.listeners
    Timer timer                        # ends a pause
    Worker *worker
    uint32_t id
    uint8_t paused

cdef struct Server:                    # a connection from a client; HTTP/1, or what `h2` has
    Conn conn                          # first
    Node node                          # in Worker.servers
    Worker *worker
    void *h2                           # ServerH2 *, once the client has begun to speak HTTP/2; else NULL
    Exchange *exchange
    Message *message                   # while a head is being parsed
    Table *table                       # closing, with a last request to come: the one that knows its listener
    uint32_t listener_id
    uint32_t requests
    uint64_t remaining                 # of a request body with a length
    uint64_t body_read
    ChunkDecoder chunks
    ConnectionNames names              # of the head of a chunked request
    uint8_t framing                    # of the request body
    uint8_t chunked_out                # the response goes out in chunks
    uint8_t parsing                    # the head's first bytes have come
    uint8_t closing                    # no further request
    uint8_t lingering
    uint8_t admitted                   # AdmitResult of `overload`
    uint8_t peer_length
    uint8_t address_length
    uint8_t until_close                # the response's body ends with the connection
    uint8_t trailers                   # the request's trailer section is next
    uint8_t stage                      # GreetingStage
    uint8_t local_length
    uint16_t detected                  # as in Exchange
    uint16_t peer_port
    char peer[64]                      # the client's address as text, made when first asked for
    char address[28]                   # sockaddr_in or _in6; a PROXY header may have named it
    char local[28]                     # likewise, what the client has connected to, where a PROXY header says so
    Meant *meant                       # where a redirected connection was meant for, if that is known; else NULL

cdef struct Hooks:                     # upward calls of the pool and of timers
    int (*connect)(Worker *worker, Attempt *attempt) noexcept nogil
    void (*close_idle)(Upstream *upstream) noexcept nogil
    # a place on a connection that is shared, a PoolResult; and one on this connection, which has room
    int (*shared_find)(Attempt *attempt) noexcept nogil
    void (*shared_take)(Upstream *upstream, Attempt *attempt) noexcept nogil
    void (*attempt_ready)(Attempt *attempt) noexcept nogil
    void (*attempt_failed)(Attempt *attempt, int flag) noexcept nogil
    # of the timer: what was held back goes its way
    void (*exchange_resume)(Exchange *x) noexcept nogil
    # of an exchange that has mirrors: a piece of its body; it is over
    void (*mirror_feed)(Exchange *x, const char *data, size_t length, bint end) noexcept nogil
    void (*mirror_leave)(Exchange *x) noexcept nogil

    # of a connection from a client that speaks HTTP/2: the preface is in the buffer (False: without memory); a drain;
    # the time of all its exchanges is up
    bint (*server_h2_begin)(Server *server) noexcept nogil
    void (*server_h2_drain)(Server *server) noexcept nogil
    void (*server_h2_give_up)(Server *server) noexcept nogil
    void (*server_h2_farewell)(Server *server) noexcept nogil          # to each WebSocket on it

cdef struct Worker:
    Loop loop
    BufPool bufs
    SplicePool splices
    TlsEngine tls
    Random random
    Slab servers_slab
    Slab upstreams_slab
    Slab exchanges_slab
    Slab messages_slab
    Slab mirrors_slab
    Slab h2_servers_slab
    Slab h2_requests_slab
    SharedHeader *shared
    Lane *lane
    uint32_t lane_index
    int control_fd
    int log_fd
    int wake_fds[256]
    uint32_t wake_count
    Watch control
    Watch wake
    Node tables
    Table *table                       # current; NULL before the first install
    Node listeners
    Node servers
    Node all_clusters
    IdMap clusters                     # slot -> Cluster
    IdMap hosts                        # slot -> Host
    Hooks hooks
    ServerOps server_ops
    ConnOps server_conn
    ServerOps server_h2_ops
    ConnOps server_h2_conn
    ServerOps mirror_ops
    ServerOps tcp_server_ops
    ConnOps tcp_server_conn
    ClientOps tcp_client_ops
    ConnOps tcp_client_conn
    ConnOps tcp_secure_server_conn
    ConnOps tcp_secure_client_conn
    ConnOps greeting_conn
    ClientOps client_ops
    ConnOps client_conn
    Slab h2_streams_slab
    HpackLookup hpack_lookup
    Slab h2_clients_slab
    Slab h2_calls_slab
    ClientOps client_h2_ops
    ConnOps client_h2_conn
    Sweep sweep                        # of the lane's series, see sweeping
    Timer sweep_timer
    TokenTable *tokens                 # NULL until a token is asked for
    Verifier verifier
    bint ready_sent
    bint draining
    bint quitting
    uint64_t drain_deadline
    uint64_t farewell_at               # when a drain tells WebSockets to go; 0: not yet to be, or done
    uint64_t reported_release
    uint64_t swept_version             # table for which clusters were last looked through
    uint64_t wall_offset               # wall clock minus monotonic, refreshed now and then
    char hostname[65]
    char *scratch                      # a head on its way out, SCRATCH bytes; grows
    size_t scratch_size
    Extra extras[320]                  # fields added to the head that is being written
    char cookie_text[2][512]           # COOKIE_TEXT bytes each
    char field_text[2][2048]           # values of such fields, FIELD_TEXT bytes each
    char timeout_text[16]              # value of grpc-timeout for one head
