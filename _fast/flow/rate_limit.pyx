"""See `rate_limit.pxd`. The fields are those of draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4."""
from libc.stdio cimport snprintf

from tulle._fast.base.clock cimport clock_monotonic
from tulle._fast.base.shared cimport (
    FLAG_RL, RATE_CLIENT_SETS, RATE_OWNER_SETS, shared_rate_clients, shared_rate_owners,
)
from tulle._fast.base.siphash cimport SipHash, SipKey, sip_begin, sip_end, sip_feed
from tulle._fast.base.types cimport likely, uint8_t
from tulle._fast.flow.head_edits cimport extra_add
from tulle._fast.flow.types cimport FIELD_TEXT, Exchange, Worker
from tulle._fast.http.forwarded cimport forwarded_client
from tulle._fast.http.message cimport Field, message_at
from tulle._fast.http.named cimport named_next
from tulle._fast.policy.client_prefix cimport CLIENT_PREFIX_BYTES, client_prefix
from tulle._fast.policy.image cimport image_at, image_text
from tulle._fast.policy.rate_limit cimport (
    RATE_KEY_ALL, RATE_KEY_CLIENT, RATE_RULES_MAX, RateRule, RateState, RateTable, rate_give_back, rate_look, rate_take,
)

cdef enum:
    SECOND = 1000000000


cdef void feed_client(Exchange *x, const RateRule *rule, SipHash *hash) noexcept nogil:
    cdef uint8_t prefix[CLIENT_PREFIX_BYTES]
    cdef uint32_t hops = x.listener.trusted_hops
    cdef uint32_t length = 0
    cdef uint32_t size
    cdef const char *client = forwarded_client(x.request, hops, &length) if hops > 0 else NULL
    if likely(client == NULL):
        client = x.peer
        length = x.peer_length
    size = client_prefix(client, length, rule.ipv4_bits, rule.ipv6_bits, prefix)
    if likely(size > 0):
        sip_feed(hash, <const char *>prefix, size)
    else:
        sip_feed(hash, client, length)


cdef void feed_header(Exchange *x, const RateRule *rule, SipHash *hash) noexcept nogil:
    """All values of the field; requests without it are one client together, so that leaving it out gains nothing."""
    cdef const char *name = image_text(x.table.image, rule.header)
    cdef uint32_t index = 0
    cdef const Field *field = named_next(x.request, name, rule.header.length, &index)
    while field != NULL:
        sip_feed(hash, b",", 1)
        sip_feed(hash, message_at(x.request, field.value), field.value_length)
        field = named_next(x.request, name, rule.header.length, &index)


cdef uint64_t rate_key(Exchange *x, const RateRule *rule) noexcept nogil:
    cdef SipHash hash
    cdef SipKey secret
    cdef uint64_t key
    secret.low = x.worker.shared.secret[0]
    secret.high = x.worker.shared.secret[1] ^ rule.identity
    sip_begin(&hash, secret)
    if rule.key == RATE_KEY_CLIENT:
        feed_client(x, rule, &hash)
    elif rule.key != RATE_KEY_ALL:
        feed_header(x, rule, &hash)
    key = sip_end(&hash)
    return key if key != 0 else 1


cdef RateTable rate_table(Worker *worker, const RateRule *rule) noexcept nogil:
    cdef RateTable table
    table.lane = worker.lane_index
    if rule.key == RATE_KEY_ALL:
        table.buckets = shared_rate_owners(worker.shared)
        table.mask = RATE_OWNER_SETS - 1
    else:
        table.buckets = shared_rate_clients(worker.shared)
        table.mask = RATE_CLIENT_SETS - 1
    return table


cdef bint rate_limits_take(Exchange *x, Span rules, uint64_t *wait) noexcept nogil:
    cdef const RateRule *rule = <const RateRule *>image_at(x.table.image, rules.offset)
    cdef RateTable tables[RATE_RULES_MAX]
    cdef uint64_t keys[RATE_RULES_MAX]
    cdef uint64_t *evictions = &x.worker.lane.header.rate_evictions
    cdef uint32_t index
    for index in range(min(rules.count, <uint32_t>RATE_RULES_MAX)):
        keys[index] = rate_key(x, &rule[index])
        tables[index] = rate_table(x.worker, &rule[index])
        if likely(rate_take(&tables[index], keys[index], &rule[index], clock_monotonic(), wait, evictions)):
            continue
        while index > 0:
            index -= 1
            rate_give_back(&tables[index], keys[index], &rule[index])
        return False
    return True


cdef struct FieldText:                 # the values of both fields, as they grow
    char *policy
    char *state
    int policy_length
    int state_length


cdef void tell_rules(Exchange *x, Span rules, FieldText *text) noexcept nogil:
    cdef const RateRule *rule = <const RateRule *>image_at(x.table.image, rules.offset)
    cdef bint limited = x.response_flags >> FLAG_RL & 1
    cdef RateState state
    cdef RateTable table
    cdef const char *comma
    cdef uint32_t index
    for index in range(rules.count):
        if not limited and not rule[index].always:
            continue
        table = rate_table(x.worker, &rule[index])
        state = rate_look(&table, rate_key(x, &rule[index]), &rule[index], clock_monotonic())
        comma = b", " if text.policy_length > 0 else b""
        text.policy_length += snprintf(
            text.policy + text.policy_length, <size_t>(FIELD_TEXT - text.policy_length), b"%s%.*s", comma,
            <int>rule[index].policy.length, image_text(x.table.image, rule[index].policy),
        )
        text.state_length += snprintf(
            text.state + text.state_length, <size_t>(FIELD_TEXT - text.state_length), b"%s\"%.*s\";r=%llu;t=%llu",
            comma, <int>rule[index].name.length, image_text(x.table.image, rule[index].name),
            <unsigned long long>state.tokens, <unsigned long long>((state.reset + SECOND - 1) // SECOND),
        )


cdef void rate_fields(Exchange *x, uint32_t *count) noexcept nogil:
    cdef FieldText text
    text.policy = x.worker.field_text[0]
    text.state = x.worker.field_text[1]
    text.policy_length = 0
    text.state_length = 0
    tell_rules(x, x.listener.rate_limits, &text)
    if x.route != NULL:
        tell_rules(x, x.route.rate_limits, &text)
    if text.policy_length > 0:
        extra_add(x.worker, count, b"ratelimit-policy", 16, text.policy, <uint32_t>text.policy_length)
        extra_add(x.worker, count, b"ratelimit", 9, text.state, <uint32_t>text.state_length)
