"""Rate limits: the rules as the table image has them, and the table of buckets that all workers share.

A bucket is two words, a key (64 bits of a hash under a secret key, 0: free) and its arrival time (see `gcra`), and both
are changed together by one compare-and-exchange. So a charge is exact whoever else is at work, nothing is ever locked,
and a worker that is killed leaves nothing half done.

A key has one bucket in one of the 8 ways of its set. Who finds none claims the way whose time is the longest ago: free,
or full and therefore as good as free, or, when all are in use, the one that has been asked the least for. Only the last
loses anything, a client that may begin anew, and is counted. A claim is *tentative* until its owner has seen that no
other way has the key: of two that claim at once at least one sees the other, and only one claim becomes a bucket.
"""
from tulle._fast.base.shared cimport RateBucket
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport Text

cdef enum:
    RATE_RULES_MAX = 8                 # of a route or a listener

cdef enum RateKey:
    RATE_KEY_ALL = 0
    RATE_KEY_CLIENT                    # the network of the client's address, see `client_prefix`
    RATE_KEY_HEADER                    # the value of a header field

cdef struct RateRule:
    uint64_t identity                  # of the owner (route or listener) and what the rule says
    uint64_t interval                  # nanoseconds in which a token comes
    uint64_t tolerance                 # (burst - 1) * interval
    uint32_t key                       # RateKey
    uint32_t always                    # 1: answers to requests that were let through have RateLimit fields too
    uint32_t ipv4_bits                 # of RATE_KEY_CLIENT
    uint32_t ipv6_bits
    Text header                        # of RATE_KEY_HEADER, in lower case
    Text name                          # of the policy, in RateLimit fields
    Text policy                        # what RateLimit-Policy says of it

cdef struct RateTable:
    RateBucket *buckets                # of `mask` + 1 sets
    uint64_t mask
    uint32_t lane                      # whose claims these are

cdef struct RateState:
    uint64_t tokens                    # requests that would be let through now
    uint64_t reset                     # ns until there are all; with 0 tokens: until there is one

# Take a token: True, or False and in `*wait` how long until there is one. Buckets lost are added to `*evictions`
cdef bint rate_take(
    const RateTable *table, uint64_t key, const RateRule *rule, uint64_t now, uint64_t *wait, uint64_t *evictions
) noexcept nogil
# Give one back that was taken for a request that another rule refused
cdef void rate_give_back(const RateTable *table, uint64_t key, const RateRule *rule) noexcept nogil
cdef RateState rate_look(const RateTable *table, uint64_t key, const RateRule *rule, uint64_t now) noexcept nogil
