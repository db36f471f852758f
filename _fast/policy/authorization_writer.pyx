"""See `authorization_writer.pxd`. Conditions that are alike are written once."""
import ipaddress

from tulle._fast.policy.authorization cimport (
    ATTRIBUTE_CLAIM, ATTRIBUTE_CLIENT, ATTRIBUTE_HEADER, ATTRIBUTE_HOST, ATTRIBUTE_METHOD, ATTRIBUTE_PATH,
    ATTRIBUTE_PEER, ATTRIBUTE_PORT, ATTRIBUTE_PRINCIPAL, POLICY_ALLOW, POLICY_AUDIT, POLICY_DENY, VALUE_EXACT,
    VALUE_NETWORK, VALUE_NUMBER, VALUE_PREFIX, VALUE_PRESENT, VALUE_SUFFIX, ConditionEntry, GuardEntry, PartEntry,
    PolicyEntry, RuleEntry, ValueEntry,
)
from tulle._fast.policy.image cimport ListenerEntry, RouteName, Span, Text
from tulle._fast.policy.token cimport TOKEN_COOKIE, TOKEN_HEADER, TOKEN_QUERY, TokenEntry, TokenSource

_ACTIONS = {"allow": POLICY_ALLOW, "deny": POLICY_DENY, "audit": POLICY_AUDIT}
_ATTRIBUTES = {
    "principal": ATTRIBUTE_PRINCIPAL, "peer_address": ATTRIBUTE_PEER, "client_address": ATTRIBUTE_CLIENT,
    "port": ATTRIBUTE_PORT, "host": ATTRIBUTE_HOST, "path": ATTRIBUTE_PATH, "method": ATTRIBUTE_METHOD,
    "header": ATTRIBUTE_HEADER, "claim": ATTRIBUTE_CLAIM,
}
_PLACES = {"header": TOKEN_HEADER, "cookie": TOKEN_COOKIE, "query": TOKEN_QUERY}
_KINDS = {
    "exact": VALUE_EXACT, "prefix": VALUE_PREFIX, "suffix": VALUE_SUFFIX, "present": VALUE_PRESENT,
    "network": VALUE_NETWORK, "number": VALUE_NUMBER,
}


cdef int write_guards(ImageBuffer out, table, list policy_ids, uint32_t listeners, uint32_t routes) except -1:
    cdef Py_ssize_t index
    cdef uint32_t first_route = 0
    cdef GuardWriter writer
    if not table.policies and not table.providers:
        return 0
    writer = GuardWriter(out, table)
    ids = [(<ListenerEntry *>(out.data + listeners))[index].id for index in range(len(table.listeners))]
    writer.write_policies(policy_ids, ids)
    for index, listener in enumerate(table.listeners):
        guard = writer.write_listener(index, listener)
        (<ListenerEntry *>(out.data + listeners))[index].guard = guard
    for number, group in enumerate(table.tables):
        for index in range(len(group.routes)):
            guard = writer.write_route((number, index), group.routes[index].token)
            (<RouteName *>(out.data + routes))[first_route + index].guard = guard
        first_route += <uint32_t>len(group.routes)
    return 0


cdef class GuardWriter:
    cdef ImageBuffer out
    cdef object table
    cdef list offsets                  # of PolicyEntry, in the order of the file
    cdef dict by_route                 # (table, index) to positions of the policies that name it
    cdef list tables                   # that each policy has routes of
    cdef dict conditions               # rows that are written already, to their Span
    cdef dict guards                   # positions of policies, and a token, to the guard of a route
    cdef dict tokens                   # rows that are written already, to their offset

    def __init__(self, ImageBuffer out, table):
        self.out = out
        self.table = table
        self.offsets = []
        self.by_route = {}
        self.tables = [{number for number, _ in policy.routes} for policy in table.policies]
        self.conditions = {}
        self.guards = {}
        self.tokens = {}

    # -- guards --------------------------------------------------------------------------------------------------

    cdef uint32_t write_listener(self, index, listener) except? 0:
        """0 when no policy could be asked for any request that comes to it."""
        selecting = [
            position for position, policy in enumerate(self.table.policies)
            if not policy.listeners or index in policy.listeners
        ]
        own = [position for position in selecting if not self.table.policies[position].of_routes]
        of_routes = [position for position in selecting if listener.table in self.tables[position]]
        tokens = any([route.token is not None for route in self.table.tables[listener.table].routes])
        if not own and not of_routes and not tokens and listener.token is None:
            return 0
        dry = any([self.table.policies[position].dry_run for position in own + of_routes])
        return self.write_guard(own, listener.port, dry, listener.token)

    cdef uint32_t write_route(self, place, token) except? 0:
        key = tuple(self.by_route.get(place, ())), token
        if key == ((), None):
            return 0
        if key not in self.guards:
            self.guards[key] = self.write_guard(key[0], 0, False, token)
        return self.guards[key]

    cdef uint32_t write_guard(self, positions, uint32_t port, bint dry_runs, token) except? 0:
        cdef GuardEntry entry
        entry.denials = self.write_offsets(positions, "deny")
        entry.allowances = self.write_offsets(positions, "allow")
        entry.audits = self.write_offsets(positions, "audit")
        entry.port = port
        entry.dry_runs = dry_runs
        entry.token = 0 if token is None else self.write_token(token)
        entry.reserved = 0
        return self.out.raw(<const char *>&entry, sizeof(GuardEntry))

    cdef Span write_offsets(self, positions, action) except *:
        return self.write_numbers([
            self.offsets[position] for position in positions if self.table.policies[position].action == action
        ])

    cdef Span write_numbers(self, list numbers) except *:
        cdef Span span
        cdef Py_ssize_t index
        if not numbers:
            return Span(0, 0)
        span.count = <uint32_t>len(numbers)
        span.offset = self.out.reserve(sizeof(uint32_t), span.count)
        for index, number in enumerate(numbers):
            (<uint32_t *>(self.out.data + span.offset))[index] = number
        return span

    # -- tokens --------------------------------------------------------------------------------------------------

    cdef uint32_t write_token(self, token) except? 0:
        cdef TokenEntry entry
        cdef TokenSource source
        cdef Py_ssize_t index
        if token in self.tokens:
            return self.tokens[token]
        entry.required = token.required
        entry.reserved = 0
        entry.sources.count = <uint32_t>len(token.sources)
        entry.sources.offset = self.out.reserve(sizeof(TokenSource), entry.sources.count)
        for index, row in enumerate(token.sources):
            source.place = _PLACES[row.kind]
            source.strip = row.strip
            source.name = self.out.text(row.name)
            source.prefix = self.out.text(row.prefix)
            source.asked = row.asked
            (<TokenSource *>(self.out.data + entry.sources.offset))[index] = source
        entry.fields = self.write_fields()
        self.tokens[token] = self.out.raw(<const char *>&entry, sizeof(TokenEntry))
        return self.tokens[token]

    cdef Span write_fields(self) except *:
        cdef Span span
        cdef Text text
        cdef Py_ssize_t index
        span.count = <uint32_t>len(self.table.claim_fields)
        span.offset = self.out.reserve(sizeof(Text), span.count)
        for index, name in enumerate(self.table.claim_fields):
            text = self.out.text(name)
            (<Text *>(self.out.data + span.offset))[index] = text
        return span

    # -- policies ------------------------------------------------------------------------------------------------

    cdef int write_policies(self, list ids, list listener_ids) except -1:
        cdef PolicyEntry entry
        cdef Py_ssize_t position
        for position, policy in enumerate(self.table.policies):
            entry.id = ids[position]
            entry.action = _ACTIONS[policy.action]
            entry.dry_run = policy.dry_run
            entry.index = <uint32_t>position
            entry.name = self.out.text(policy.name)
            entry.listeners = self.write_numbers([listener_ids[index] for index in policy.listeners])
            entry.rules = self.write_rules(policy.rules)
            self.offsets.append(self.out.raw(<const char *>&entry, sizeof(PolicyEntry)))
            for place in policy.routes:
                self.by_route.setdefault(place, []).append(position)
        return 0

    cdef Span write_rules(self, tuple rows) except *:
        cdef Span span
        cdef RuleEntry entry
        cdef Py_ssize_t index
        if not rows:
            return Span(0, 0)
        span.count = <uint32_t>len(rows)
        span.offset = self.out.reserve(sizeof(RuleEntry), span.count)
        for index, row in enumerate(rows):
            entry.sources = self.write_parts(row.sources)
            entry.targets = self.write_parts(row.targets)
            entry.conditions = self.write_conditions(row.conditions)
            (<RuleEntry *>(self.out.data + span.offset))[index] = entry
        return span

    cdef Span write_parts(self, tuple rows) except *:
        cdef Span span
        cdef PartEntry entry
        cdef Py_ssize_t index
        if not rows:
            return Span(0, 0)
        span.count = <uint32_t>len(rows)
        span.offset = self.out.reserve(sizeof(PartEntry), span.count)
        for index, row in enumerate(rows):
            entry.conditions = self.write_conditions(row)
            (<PartEntry *>(self.out.data + span.offset))[index] = entry
        return span

    cdef Span write_conditions(self, tuple rows) except *:
        cdef Span span
        cdef ConditionEntry entry
        cdef Py_ssize_t index
        if not rows:
            return Span(0, 0)
        known = self.conditions.get(rows)
        if known is not None:
            return Span(known[0], known[1])
        span.count = <uint32_t>len(rows)
        span.offset = self.out.reserve(sizeof(ConditionEntry), span.count)
        for index, row in enumerate(rows):
            entry.attribute = _ATTRIBUTES[row.attribute]
            entry.negated = row.negated
            entry.claim = row.claim
            entry.reserved = 0
            entry.name = self.out.text(row.name)
            entry.values = self.write_values(row.values)
            (<ConditionEntry *>(self.out.data + span.offset))[index] = entry
        self.conditions[rows] = (span.offset, span.count)
        return span

    cdef Span write_values(self, tuple rows) except *:
        cdef Span span
        cdef ValueEntry entry
        cdef Py_ssize_t index
        cdef bytes address
        span.count = <uint32_t>len(rows)
        span.offset = self.out.reserve(sizeof(ValueEntry), span.count)
        for index, row in enumerate(rows):
            entry.kind = _KINDS[row.kind]
            entry.number = row.number
            if row.kind == "network":
                address = network_bytes(row.text)
                entry.text.offset = self.out.raw(address, len(address))
                entry.text.length = <uint32_t>len(address)
            else:
                entry.text = self.out.text(row.text)
            (<ValueEntry *>(self.out.data + span.offset))[index] = entry
        return span


def network_bytes(text):
    """The address of a network as 16 bytes; one of IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2)."""
    address = ipaddress.ip_network(text).network_address
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
