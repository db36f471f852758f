"""See `route.pxd`.

A lookup costs a hash of the host, one pass over the path that yields the hash of each of its prefixes, and a
probe for each prefix from the longest, bounded by the longest that is configured. The number of routes does
not enter. What is left after that, patterns and predicates, is tried one by one.

Several header fields of one name count as one, their values joined by a comma in order (RFC 9110 section
5.3). Of several query parameters of one name the first counts; names and values are compared after decoding
`%XX`, and `+` as a space.
"""
from libc.string cimport memcmp

from tulle._fast.base.ascii cimport ascii_equal_lower, ascii_lower
from tulle._fast.base.types cimport prefetch, uint32_t, uint64_t, uint8_t
from tulle._fast.base.hash cimport hash_bytes
from tulle._fast.http.message cimport Field, Message
from tulle._fast.policy.dfa cimport DFA_DEAD, DFA_START, dfa_accepts, dfa_run
from tulle._fast.policy.image cimport *
from tulle._fast.policy.query cimport query_byte, query_find
from tulle._fast.policy.route_hash cimport hash_as_exact, hash_as_prefix, hash_of_host, segment_length


cdef struct Search:
    const Image *image
    const RouteQuery *query
    RouteTrace trace
    void *argument
    RouteMatch found
    uint32_t segments                  # of the path, at most MAX_PREFIX_SEGMENTS
    uint32_t exact_hash
    uint32_t prefix_hash[64]           # of the prefix that ends with each segment
    uint32_t prefix_end[64]


cdef struct Comparison:                # of a value that comes in pieces with a predicate
    const Image *image
    const PredicateEntry *predicate
    uint32_t position                  # bytes that were equal so far, or the state of the automaton
    bint differs


# -- predicates -----------------------------------------------------------------------------------------------------

cdef inline void compare_begin(Comparison *self, const Image *image, const PredicateEntry *predicate) noexcept nogil:
    self.image = image
    self.predicate = predicate
    self.position = DFA_START if predicate.kind == PREDICATE_REGEX else 0
    self.differs = False


cdef void compare_feed(Comparison *self, const char *bytes, uint32_t length) noexcept nogil:
    cdef const PredicateEntry *predicate = self.predicate
    if self.differs:
        return
    if predicate.kind == PREDICATE_REGEX:
        self.position = dfa_run(
            self.image, <const DfaEntry *>image_at(self.image, predicate.dfa), self.position, bytes, length
        )
        self.differs = self.position == DFA_DEAD
    elif predicate.kind == PREDICATE_EXACT:
        if (
            length > predicate.value.length - self.position
            or memcmp(image_text(self.image, predicate.value) + self.position, bytes, length) != 0
        ):
            self.differs = True
        else:
            self.position += length


cdef bint compare_end(const Comparison *self) noexcept nogil:
    """Whether the whole value satisfies the predicate."""
    if self.differs:
        return False
    if self.predicate.kind == PREDICATE_REGEX:
        return dfa_accepts(self.image, <const DfaEntry *>image_at(self.image, self.predicate.dfa), self.position)
    return self.predicate.kind == PREDICATE_PRESENT or self.position == self.predicate.value.length


cdef bint header_matches(const Image *image, const PredicateEntry *predicate, const Message *message) noexcept nogil:
    cdef Comparison comparison
    cdef const Field *field
    cdef uint32_t index
    cdef bint present = False
    compare_begin(&comparison, image, predicate)
    for index in range(message.field_count):
        field = &message.fields[index]
        if field.name_length != predicate.name.length or not ascii_equal_lower(
            message.base + field.name, image_text(image, predicate.name), field.name_length
        ):
            continue
        if present:
            compare_feed(&comparison, b",", 1)
        present = True
        compare_feed(&comparison, message.base + field.value, field.value_length)
    return present and compare_end(&comparison)


cdef bint query_matches(
    const Image *image, const PredicateEntry *predicate, const char *query, uint32_t length
) noexcept nogil:
    cdef Comparison comparison
    cdef uint32_t position = 0
    cdef uint32_t end = 0
    cdef char byte
    if not query_find(query, length, image_text(image, predicate.name), predicate.name.length, &position, &end):
        return False
    compare_begin(&comparison, image, predicate)
    while position < end:
        byte = query_byte(query, end, &position)
        compare_feed(&comparison, &byte, 1)
    return compare_end(&comparison)


cdef int verdict_of(const Search *search, const MatchEntry *match) noexcept nogil:
    cdef const Message *message = search.query.message
    cdef const PredicateEntry *predicates
    cdef uint32_t index
    cdef const char *method = message.base + message.method_offset
    if match.method.length != 0 and (
        match.method.length != message.method_length
        or memcmp(image_text(search.image, match.method), method, match.method.length) != 0
    ):
        return ROUTE_METHOD_DIFFERS
    predicates = <const PredicateEntry *>image_at(search.image, match.headers.offset)
    for index in range(match.headers.count):
        if not header_matches(search.image, &predicates[index], message):
            return ROUTE_HEADER_DIFFERS
    predicates = <const PredicateEntry *>image_at(search.image, match.queries.offset)
    for index in range(match.queries.count):
        if not query_matches(search.image, &predicates[index], search.query.query, search.query.query_length):
            return ROUTE_QUERY_DIFFERS
    return ROUTE_TAKEN


# -- paths ----------------------------------------------------------------------------------------------------------

cdef bint try_matches(Search *search, Span matches, uint32_t prefix_length) noexcept nogil:
    cdef const MatchEntry *match = <const MatchEntry *>image_at(search.image, matches.offset)
    cdef uint32_t index
    cdef int verdict
    for index in range(matches.count):
        verdict = verdict_of(search, &match[index])
        if search.trace != NULL:
            search.trace(search.argument, &match[index], verdict)
        if verdict == ROUTE_TAKEN:
            search.found.match = &match[index]
            search.found.route = image_route(search.image, match[index].route)
            search.found.prefix_length = prefix_length
            return True
    return False


cdef void hash_path(Search *search) noexcept nogil:
    cdef const char *path = search.query.path
    cdef uint32_t length = search.query.path_length
    cdef uint32_t position = 0
    cdef uint32_t segment
    cdef uint64_t state = 0
    while position < length:
        segment = segment_length(path + position, length - position)
        state = hash_bytes(state, path + position, segment)
        position += segment
        if search.segments < MAX_PREFIX_SEGMENTS:
            search.prefix_hash[search.segments] = hash_as_prefix(state)
            search.prefix_end[search.segments] = position
            search.segments += 1
    search.exact_hash = hash_as_exact(state)


cdef const PathEntry *find_path(
    const Search *search, const HostEntry *host, uint32_t hash, uint32_t kind, uint32_t length
) noexcept nogil:
    cdef const PathSlot *slots = <const PathSlot *>image_at(search.image, host.paths)
    cdef const PathEntry *entry
    cdef uint32_t index = hash & host.path_mask
    while slots[index].entry != 0:
        if slots[index].hash == hash:
            entry = <const PathEntry *>image_at(search.image, slots[index].entry)
            prefetch(<const char *>entry + 64)
            if (
                entry.kind == kind and entry.path.length == length
                and memcmp(image_text(search.image, entry.path), search.query.path, length) == 0
            ):
                return entry
        index = (index + 1) & host.path_mask
    return NULL


cdef bint try_patterns(Search *search, const HostEntry *host) noexcept nogil:
    cdef const PatternEntry *patterns = <const PatternEntry *>image_at(search.image, host.patterns.offset)
    cdef const DfaEntry *dfa
    cdef uint32_t length = search.query.path_length
    cdef uint32_t index
    for index in range(host.patterns.count):
        dfa = <const DfaEntry *>image_at(search.image, patterns[index].dfa)
        if (
            dfa_accepts(search.image, dfa, dfa_run(search.image, dfa, DFA_START, search.query.path, length))
            and try_matches(search, patterns[index].matches, length)
        ):
            return True
    return False


cdef bint try_host(Search *search, const HostEntry *host) noexcept nogil:
    cdef const PathEntry *entry
    cdef uint32_t length = search.query.path_length
    cdef uint32_t index
    if host.flags & HOST_HAS_EXACT:
        entry = find_path(search, host, search.exact_hash, PATH_EXACT, length)
        if entry != NULL and try_matches(search, entry.matches, length):
            return True
    if host.patterns.count != 0 and try_patterns(search, host):
        return True
    if host.flags & HOST_HAS_PREFIX:
        index = min(search.segments, host.max_segments)
        while index > 0:
            index -= 1
            entry = find_path(search, host, search.prefix_hash[index], PATH_PREFIX, search.prefix_end[index])
            if entry != NULL and try_matches(search, entry.matches, search.prefix_end[index]):
                return True
    if host.root != 0:
        entry = <const PathEntry *>image_at(search.image, host.root)
        return try_matches(search, entry.matches, 0)
    return False


# -- hosts ----------------------------------------------------------------------------------------------------------

cdef const HostEntry *find_host(
    const Image *image, uint32_t table, uint32_t mask, const char *name, uint32_t length
) noexcept nogil:
    cdef const HostSlot *slots = <const HostSlot *>image_at(image, table)
    cdef const HostEntry *entry
    cdef uint32_t hash = hash_of_host(name, length)
    cdef uint32_t index = hash & mask
    while slots[index].entry != 0:
        if slots[index].hash == hash:
            entry = <const HostEntry *>image_at(image, slots[index].entry)
            if entry.name.length == length and memcmp(image_text(image, entry.name), name, length) == 0:
                return entry
        index = (index + 1) & mask
    return NULL


cdef bint try_wildcards(Search *search, const TableEntry *table, const char *host, uint32_t length) noexcept nogil:
    """The longest first; "*." stands for one label or more, never for none."""
    cdef const HostEntry *entry
    cdef uint32_t dots = 0
    cdef uint32_t index
    for index in range(1, length):
        dots += host[index] == c'.'
    for index in range(1, length):
        if host[index] != c'.':
            continue
        if dots <= table.wildcard_labels:
            entry = find_host(search.image, table.wildcards, table.wildcard_mask, host + index, length - index)
            if entry != NULL and try_host(search, entry):
                return True
        dots -= 1
    return False


cdef bint route_has_host(
    const Image *image, const TableEntry *table, const char *host, uint32_t length
) noexcept nogil:
    return table.hosts != 0 and find_host(image, table.hosts, table.host_mask, host, length) != NULL


cdef RouteMatch route_match(
    const Image *image, const TableEntry *table, const RouteQuery *query, RouteTrace trace, void *argument
) noexcept nogil:
    cdef Search search
    cdef const HostEntry *entry
    cdef char host[MAX_HOST_LENGTH]
    cdef uint32_t length = query.host_length
    cdef uint32_t index
    search.image = image
    search.query = query
    search.trace = trace
    search.argument = argument
    search.found = RouteMatch(NULL, NULL, 0)
    search.segments = 0
    hash_path(&search)
    if 0 < length <= MAX_HOST_LENGTH and (table.hosts != 0 or table.wildcards != 0):
        for index in range(length):
            host[index] = <char>ascii_lower(<uint8_t>query.host[index])
        if table.hosts != 0:
            entry = find_host(image, table.hosts, table.host_mask, host, length)
            if entry != NULL and try_host(&search, entry):
                return search.found
        if table.wildcards != 0 and try_wildcards(&search, table, host, length):
            return search.found
    if table.any_host != 0:
        try_host(&search, <const HostEntry *>image_at(image, table.any_host))
    return search.found
