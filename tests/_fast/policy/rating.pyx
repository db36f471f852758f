"""Rate limits on shared memory, and faults, as plain functions, for tests; built in place only."""
from libc.string cimport memset

from tulle._fast.base.clock cimport clock_monotonic
from tulle._fast.base.random cimport Random, random_next, random_seed
from tulle._fast.base.shared cimport RATE_CLIENT_SETS, RATE_WAYS, RateBucket, shared_rate_clients
from tulle._fast.base.siphash cimport SipHash, SipKey, sip_begin, sip_end, sip_feed
from tulle._fast.base.stats cimport Stats
from tulle._fast.base.types cimport uint8_t, uint32_t, uint64_t
from tulle._fast.policy.client_prefix cimport CLIENT_PREFIX_BYTES, client_prefix
from tulle._fast.policy.fault cimport fault_hits
from tulle._fast.policy.image cimport Span
from tulle._fast.policy.rate_limit cimport RateRule, RateState, RateTable, rate_give_back, rate_look, rate_take

WAYS = RATE_WAYS
SETS = RATE_CLIENT_SETS
CLAIM = 1 << 63


cdef RateRule make_rule(uint64_t interval, uint64_t burst) noexcept nogil:
    cdef RateRule rule
    memset(&rule, 0, sizeof(RateRule))
    rule.interval = interval
    rule.tolerance = (burst - 1) * interval
    return rule


cdef RateTable make_table(Stats stats, uint32_t lane) noexcept:
    cdef RateTable table
    table.buckets = shared_rate_clients(stats.shared)
    table.mask = RATE_CLIENT_SETS - 1
    table.lane = lane
    return table


def take(Stats stats, uint64_t key, uint64_t interval, uint64_t burst, uint64_t now):
    """(taken, ns to wait, buckets evicted)."""
    cdef RateTable table = make_table(stats, 0)
    cdef RateRule rule = make_rule(interval, burst)
    cdef uint64_t wait = 0
    cdef uint64_t evictions = 0
    taken = rate_take(&table, key, &rule, now, &wait, &evictions)
    return taken, wait, evictions


def give_back(Stats stats, uint64_t key, uint64_t interval, uint64_t burst) -> None:
    cdef RateTable table = make_table(stats, 0)
    cdef RateRule rule = make_rule(interval, burst)
    rate_give_back(&table, key, &rule)


def look(Stats stats, uint64_t key, uint64_t interval, uint64_t burst, uint64_t now):
    """(tokens, ns until there are more)."""
    cdef RateTable table = make_table(stats, 0)
    cdef RateRule rule = make_rule(interval, burst)
    cdef RateState state = rate_look(&table, key, &rule, now)
    return state.tokens, state.reset


def ways(Stats stats, uint64_t key) -> list:
    """(key, arrival) of the ways of the key's set."""
    cdef RateBucket *buckets = shared_rate_clients(stats.shared) + (key & (RATE_CLIENT_SETS - 1)) * RATE_WAYS
    return [(buckets[way].key, buckets[way].arrival) for way in range(RATE_WAYS)]


def put(Stats stats, uint64_t key, uint32_t way, uint64_t owner, uint64_t arrival) -> None:
    """Write a way of the key's set."""
    cdef RateBucket *buckets = shared_rate_clients(stats.shared) + (key & (RATE_CLIENT_SETS - 1)) * RATE_WAYS
    buckets[way].key = owner
    buckets[way].arrival = arrival


def hammer(
    Stats stats, uint32_t lane, unsigned long long[:] keys, uint64_t interval, uint64_t burst, uint32_t times,
    unsigned long long[:] taken,
) -> None:
    """Take tokens of the keys in turn, as fast as can be; `taken` gets how many, then each one's key and time."""
    cdef RateTable table = make_table(stats, lane)
    cdef RateRule rule = make_rule(interval, burst)
    cdef uint64_t wait = 0
    cdef uint64_t evictions = 0
    cdef uint64_t now
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t room = (taken.shape[0] - 1) // 2
    cdef uint32_t index
    with nogil:
        for index in range(times):
            now = clock_monotonic()
            if rate_take(&table, keys[index % <uint32_t>keys.shape[0]], &rule, now, &wait, &evictions):
                if count < room:
                    taken[1 + 2 * count] = keys[index % <uint32_t>keys.shape[0]]
                    taken[2 + 2 * count] = now
                count += 1
    taken[0] = count


def hits(uint32_t share, uint32_t draws, uint64_t seed) -> int:
    """How many of so many requests a fault with that share hits."""
    cdef Random random
    cdef Span none
    cdef uint32_t count = 0
    cdef uint32_t _draw
    none.offset = 0
    none.count = 0
    random_seed(&random, seed)
    for _draw in range(draws):
        count += fault_hits(NULL, NULL, share, none, random_next(&random))
    return count


def siphash(uint64_t low, uint64_t high, list pieces) -> int:
    cdef SipHash hash
    cdef SipKey key
    key.low = low
    key.high = high
    sip_begin(&hash, key)
    for piece in pieces:
        sip_feed(&hash, piece, <uint32_t>len(piece))
    return sip_end(&hash)


def prefix(bytes text, uint32_t ipv4_bits=32, uint32_t ipv6_bits=64) -> bytes:
    """The network of an address; empty when it is none."""
    cdef uint8_t found[CLIENT_PREFIX_BYTES]
    cdef uint32_t size = client_prefix(text, <uint32_t>len(text), ipv4_bits, ipv6_bits, found)
    return found[:size]
