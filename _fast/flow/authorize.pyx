"""See `authorize.pxd`. The client learns that it may not, never by which policy: that is in log and counters."""
from tulle._fast.base.shared cimport FLAG_RBAC, lane_count_policy
from tulle._fast.base.types cimport likely, uint8_t, uint32_t, unlikely
from tulle._fast.flow.cors cimport cors_asks
from tulle._fast.flow.reply cimport reply_error
from tulle._fast.flow.token_check cimport token_check
from tulle._fast.flow.types cimport X_ANSWER_FIELDS, X_RAW
from tulle._fast.http.forwarded cimport forwarded_client
from tulle._fast.http.message cimport Message, message_at
from tulle._fast.net.address cimport address_bytes
from tulle._fast.policy.authorization cimport Decision, Facts, GuardEntry, PolicyEntry, policies_apply
from tulle._fast.policy.image cimport ROUTE_ANSWER_FIELDS, image_at
from tulle._fast.policy.token cimport TokenEntry


cdef bint client_of(Exchange *x, uint8_t *address) noexcept nogil:
    cdef uint32_t length = 0
    cdef const char *client = NULL
    if x.listener.trusted_hops > 0:
        client = forwarded_client(x.request, x.listener.trusted_hops, &length)
    if client == NULL:
        client = x.peer
        length = x.peer_length
    return address_bytes(client, length, address)


cdef uint32_t host_length(const char *authority, uint32_t length) noexcept nogil:
    """Without the port, and without a dot at the end, which changes nothing of what a name means."""
    cdef uint32_t index = length
    while index > 0 and c'0' <= authority[index - 1] <= c'9':
        index -= 1
    if index > 0 and authority[index - 1] == c':':
        length = index - 1
    if length > 0 and authority[length - 1] == c'.':
        length -= 1
    return length


cdef void facts_of(Exchange *x, const GuardEntry *guard, Facts *facts) noexcept nogil:
    cdef const Message *message = x.request
    facts.principal = x.principal
    facts.principal_length = x.principal_length
    facts.listener = x.listener_id
    facts.port = guard.port
    facts.peer_known = address_bytes(x.peer, x.peer_length, facts.peer)
    facts.client_known = client_of(x, facts.client)
    facts.message = message if likely(not x.flags & X_RAW) else NULL
    facts.host = message_at(message, message.authority)
    facts.host_length = host_length(facts.host, message.authority_length)
    facts.path = x.path
    facts.path_length = x.path_length if x.path_length else 1      # as for routing: the root
    facts.claims = x.token.claims if x.token != NULL else NULL
    facts.claims_length = x.token.claims_length if x.token != NULL else 0


cdef void count_outcome(void *argument, const PolicyEntry *policy, int outcome) noexcept nogil:
    cdef Exchange *x = <Exchange *>argument
    if likely(policy != NULL):
        lane_count_policy(x.worker.lane, policy.id, outcome)
    else:
        x.worker.lane.header.policy_unmatched += 1


cdef bint authorize(Exchange *x) noexcept nogil:
    cdef const GuardEntry *guard = <const GuardEntry *>image_at(x.table.image, x.listener.guard)
    cdef const GuardEntry *of_route = NULL
    cdef Decision decision
    cdef Facts facts
    cdef uint32_t token
    if likely(x.route != NULL):
        if x.named.guard != 0:
            of_route = <const GuardEntry *>image_at(x.table.image, x.named.guard)
        if unlikely(x.route.cors != 0) and cors_asks(x):
            return True                # browsers ask without credentials, and the answer is ours
    if x.route != NULL and x.route.flags & ROUTE_ANSWER_FIELDS:
        x.flags |= X_ANSWER_FIELDS
    token = of_route.token if of_route != NULL and of_route.token != 0 else guard.token
    if token != 0 and not token_check(x, <const TokenEntry *>image_at(x.table.image, token)):
        return False
    facts_of(x, guard, &facts)
    decision = policies_apply(x.table.image, guard, of_route, &facts, count_outcome, x)
    if likely(decision.allowed):
        return True
    x.policy = decision.policy
    reply_error(x, 403, FLAG_RBAC, NULL)           # a raw connection is cut off
    return False
