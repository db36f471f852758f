"""Writes the routes segment of a table image from a routing table (`controlplane/table.py`). See `image.pxd`.

Runs in the compiling process only, with the GIL. What a lookup touches one after the other is written side by
side: a path with its matches and its text.
"""
from libc.string cimport memcpy, memset

from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.authorization_writer cimport write_guards
from tulle._fast.policy.cluster_writer cimport write_clusters
from tulle._fast.policy.image cimport *
from tulle._fast.policy.greeting_writer cimport write_greeting
from tulle._fast.policy.image_buffer cimport ImageBuffer, slot_mask
from tulle._fast.policy.interception cimport LISTENER_ORIGINAL_DESTINATION
from tulle._fast.policy.log_operator cimport *
from tulle._fast.policy.predicate_writer cimport PredicateWriter
from tulle._fast.policy.route_writer cimport RouteWriter
from tulle._fast.policy.traffic_writer cimport write_rates
from tulle._fast.policy.route_hash cimport hash_of_host, hash_of_path

_PROTOCOLS = {"http": PROTOCOL_HTTP, "tcp": PROTOCOL_TCP, "auto": PROTOCOL_AUTO}
_SLASHES = {"merge": LISTENER_MERGE_SLASHES, "keep": 0, "refuse": LISTENER_REFUSE_SLASHES}
_ESCAPED_SLASHES = {"refuse": LISTENER_REFUSE_ESCAPED_SLASH, "keep": 0, "decode": LISTENER_DECODE_ESCAPED_SLASH}
_CERTIFICATES = {
    "sanitize": 0, "forward_only": LISTENER_KEEP_CERTIFICATE,
    "append_forward": LISTENER_KEEP_CERTIFICATE | LISTENER_SET_CERTIFICATE, "sanitize_set": LISTENER_SET_CERTIFICATE,
    "always_forward_only": LISTENER_KEEP_CERTIFICATE_ALWAYS,
}
FOREVER = 1 << 62                      # nanoseconds: what nobody lives to see, and may be added to a time
_LOG_FORMATS = {"off": LOG_OFF, "text": LOG_TEXT, "json": LOG_JSON}
OPERATORS = {
    "": LOG_LITERAL, "START_TIME": LOG_START_TIME, "METHOD": LOG_METHOD, "PATH": LOG_PATH,
    "ORIGINAL_PATH": LOG_ORIGINAL_PATH, "AUTHORITY": LOG_AUTHORITY, "SCHEME": LOG_SCHEME,
    "PROTOCOL": LOG_PROTOCOL, "REQ": LOG_REQ, "REQUEST_ID": LOG_REQUEST_ID, "USER_AGENT": LOG_USER_AGENT,
    "X_FORWARDED_FOR": LOG_X_FORWARDED_FOR, "TRACE_ID": LOG_TRACE_ID, "BYTES_RECEIVED": LOG_BYTES_RECEIVED,
    "RESPONSE_CODE": LOG_RESPONSE_CODE, "RESPONSE_CODE_DETAILS": LOG_RESPONSE_CODE_DETAILS,
    "RESPONSE_FLAGS": LOG_RESPONSE_FLAGS, "RESP": LOG_RESP, "BYTES_SENT": LOG_BYTES_SENT,
    "GRPC_STATUS": LOG_GRPC_STATUS, "GRPC_STATUS_SNAKE": LOG_GRPC_STATUS_SNAKE,
    "GRPC_STATUS_NUMBER": LOG_GRPC_STATUS_NUMBER,
    "LISTENER": LOG_LISTENER, "ROUTE_NAME": LOG_ROUTE_NAME, "UPSTREAM_CLUSTER": LOG_UPSTREAM_CLUSTER,
    "UPSTREAM_HOST": LOG_UPSTREAM_HOST, "ATTEMPTS": LOG_ATTEMPTS,
    "DOWNSTREAM_REMOTE_ADDRESS": LOG_DOWNSTREAM_REMOTE_ADDRESS,
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": LOG_DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT,
    "DOWNSTREAM_LOCAL_ADDRESS": LOG_DOWNSTREAM_LOCAL_ADDRESS, "PRINCIPAL": LOG_PRINCIPAL, "DETECTED": LOG_DETECTED,
    "DURATION": LOG_DURATION, "DURATION_US": LOG_DURATION_US, "REQUEST_DURATION": LOG_REQUEST_DURATION,
    "REQUEST_DURATION_US": LOG_REQUEST_DURATION_US, "RESPONSE_DURATION": LOG_RESPONSE_DURATION,
    "FIRST_BYTE_US": LOG_FIRST_BYTE_US, "CONNECT_US": LOG_CONNECT_US,
    "WORKER": LOG_WORKER, "HOSTNAME": LOG_HOSTNAME,
}


def write_routes(
    table, list listener_ids, list route_ids, list cluster_slots, uint64_t version, automaton, policy_ids=()
):
    """The routes segment of a `RoutingTable`.

    `listener_ids` in the order of the listeners, `route_ids` in the order of the routes of all tables,
    `cluster_slots` pairs (slot, generation) in the order of the clusters, `policy_ids` in that of the policies.
    `automaton` makes a `Dfa` of a
    pattern: `states`, `classes`, `byte_class` (256 bytes), `transitions` (uint16 in the machine's order),
    `accepting` (a bit a state). MemoryError when the segment would be larger than 4 GiB.
    """
    return RoutesWriter(table, automaton).write(listener_ids, route_ids, cluster_slots, version, [*policy_ids])


cdef class RoutesWriter:
    cdef ImageBuffer out
    cdef object table
    cdef PredicateWriter predicates

    def __init__(self, table, automaton):
        self.out = ImageBuffer()
        self.table = table
        self.predicates = PredicateWriter(self.out, automaton)

    def write(self, list listener_ids, list route_ids, list cluster_slots, uint64_t version, list policy_ids):
        cdef Image image
        image.magic = IMAGE_MAGIC
        image.layout = IMAGE_LAYOUT
        image.version = version
        image.flags = 0
        self.out.reserve(sizeof(Image))
        image.clusters = write_clusters(self.out, self.table.clusters, cluster_slots)
        image.routes = RouteWriter(self.out, self.predicates).write(self.table, route_ids)
        image.tables = self.write_tables(image.routes.offset)
        image.listeners = self.write_listeners(listener_ids, image.tables.offset)
        write_guards(self.out, self.table, policy_ids, image.listeners.offset, image.routes.offset)
        image.log_format = _LOG_FORMATS[self.table.log_format]
        image.log_items = self.write_log_items()
        image.overload_connections = self.table.overload_connections
        image.overload_memory = self.table.overload_memory
        image.size = self.out.size
        memcpy(self.out.data, &image, sizeof(Image))
        return self.out.finish()

    # -- listeners, log ----------------------------------------------------------------------------------

    cdef Span write_listeners(self, list ids, uint32_t tables) except *:
        cdef Span span
        cdef ListenerEntry entry
        cdef Py_ssize_t index
        span.count = <uint32_t>len(self.table.listeners)
        span.offset = self.out.reserve(sizeof(ListenerEntry), span.count)
        for index, listener in enumerate(self.table.listeners):
            entry.id = ids[index]
            entry.protocol = _PROTOCOLS[listener.protocol]
            entry.name = self.out.text(listener.name)
            entry.table = tables + <uint32_t>(<size_t>listener.table * sizeof(TableEntry))
            entry.flags = _SLASHES[listener.slashes] | _ESCAPED_SLASHES[listener.escaped_slashes]
            if listener.forwarded_headers:
                entry.flags |= LISTENER_ADD_FORWARDED_FOR
            if listener.request_id:
                entry.flags |= LISTENER_ADD_REQUEST_ID
            if listener.via:
                entry.flags |= LISTENER_ADD_VIA
            if listener.original_destination:
                entry.flags |= LISTENER_ORIGINAL_DESTINATION
            if listener.grpc_web:
                entry.flags |= LISTENER_GRPC_WEB
            if listener.title_case:
                entry.flags |= LISTENER_TITLE_CASE
            if listener.access_log:
                entry.flags |= LISTENER_ACCESS_LOG
            entry.flags |= _CERTIFICATES[listener.client_certificate]
            entry.trusted_hops = listener.trusted_hops
            entry.max_head = listener.max_head
            entry.max_line = listener.max_line
            entry.max_fields = listener.max_fields
            entry.max_connections = listener.max_connections
            entry.max_requests = listener.max_requests
            entry.max_body = listener.max_body
            entry.head_timeout = listener.head_timeout
            entry.idle_timeout = listener.idle_timeout or FOREVER
            if listener.via:
                entry.via = self.out.text("".join(f"{version} {listener.via}" for version in ("1.0", "1.1", "2.0")))
            entry.tls = listener.tls
            entry.max_streams = listener.max_streams
            entry.greeting = write_greeting(self.out, listener)
            entry.handshake_timeout = listener.handshake_timeout
            entry.keepalive_interval = listener.keepalive_interval
            entry.keepalive_timeout = listener.keepalive_timeout
            entry.guard = 0                # until `write_guards`
            entry.rate_limits = write_rates(self.out, listener.rate_limits, f"listener {entry.id}")
            if any([row.always for row in listener.rate_limits]):
                entry.flags |= LISTENER_ANSWER_FIELDS
            (<ListenerEntry *>(self.out.data + span.offset))[index] = entry
        return span

    cdef Span write_log_items(self) except *:
        cdef Span span
        cdef LogItem item
        cdef Py_ssize_t index
        span.count = <uint32_t>len(self.table.log_items)
        span.offset = self.out.reserve(sizeof(LogItem), span.count)
        for index, row in enumerate(self.table.log_items):
            item.operator = OPERATORS[row.operator]
            item.limit = row.limit
            item.name = self.out.text(row.name)
            item.argument = self.out.text(row.argument)
            item.alternative = self.out.text(row.alternative)
            (<LogItem *>(self.out.data + span.offset))[index] = item
        return span

    # -- tables: hosts, paths, matches -----------------------------------------------------------------------------

    cdef Span write_tables(self, uint32_t named) except *:
        cdef Span span
        cdef TableEntry entry
        cdef Py_ssize_t index
        span.count = <uint32_t>len(self.table.tables)
        span.offset = self.out.reserve(sizeof(TableEntry), span.count)
        for index, table in enumerate(self.table.tables):
            memset(&entry, 0, sizeof(TableEntry))
            entry.name = self.out.text(table.name)
            self.fill_hosts(&entry, self.candidates_of(table, named))
            (<TableEntry *>(self.out.data + span.offset))[index] = entry
            named += <uint32_t>(len(table.routes) * sizeof(RouteName))
        return span

    cdef dict candidates_of(self, table, uint32_t named):
        """Host to {(kind, path): candidates}; a candidate begins with what precedence is decided by."""
        cdef dict hosts = {}
        cdef dict paths
        cdef uint32_t index
        cdef Span headers, queries
        for route in table.routes:
            hostnames = route.hostnames or ("",)
            for index, match in enumerate(route.matches):
                headers = self.predicates.write(match.headers)
                queries = self.predicates.write(match.queries)
                candidate = (
                    not match.method, -<int>headers.count, -<int>queries.count,
                    match.method, headers.offset, queries.offset, named, index,
                )
                for hostname in hostnames:
                    paths = hosts.get(hostname)
                    if paths is None:
                        paths = hosts[hostname] = {}
                    key = (match.kind, match.path)
                    others = paths.get(key)
                    if others is None:
                        paths[key] = [candidate]
                    else:
                        others.append(candidate)
            named += <uint32_t>sizeof(RouteName)
        return hosts

    cdef int fill_hosts(self, TableEntry *entry, dict hosts) except -1:
        cdef list exact = [name for name in hosts if name and not name.startswith("*.")]
        cdef list wildcards = [name for name in hosts if name.startswith("*.")]
        if exact:
            entry.host_mask = slot_mask(len(exact))
            entry.hosts = self.write_hosts(exact, entry.host_mask, hosts, 0)
        if wildcards:
            entry.wildcard_mask = slot_mask(len(wildcards))
            entry.wildcards = self.write_hosts(wildcards, entry.wildcard_mask, hosts, 1)
            entry.wildcard_labels = max([name.count(".") for name in wildcards])
        if "" in hosts:
            entry.any_host = self.write_host("", hosts[""])
        return 0

    cdef uint32_t write_hosts(self, list names, uint32_t mask, dict hosts, int cut) except? 0:
        """Their table; `cut` is what a name has before its key."""
        cdef uint32_t slots = self.out.reserve(sizeof(HostSlot), <size_t>mask + 1)
        cdef uint32_t offset
        cdef bytes key
        for name in names:
            key = name[cut:].encode()
            offset = self.write_host(name[cut:], hosts[name])
            self.out.put_slot(slots, mask, hash_of_host(key, <uint32_t>len(key)), offset)
        return slots

    cdef uint32_t write_host(self, str key, dict paths) except? 0:
        cdef HostEntry entry
        cdef uint32_t offset = self.out.reserve(sizeof(HostEntry))
        cdef uint32_t path_offset
        cdef bytes path
        cdef size_t hashed = 0
        cdef list patterns = []
        memset(&entry, 0, sizeof(HostEntry))
        entry.name = self.out.text(key)
        for kind, text in paths:
            if kind == "regex":
                patterns.append(text)
            elif kind == "exact" or text:
                hashed += 1
        if hashed:
            entry.path_mask = slot_mask(hashed)
            entry.paths = self.out.reserve(sizeof(PathSlot), <size_t>entry.path_mask + 1)
        for (kind, text), candidates in paths.items():
            if kind == "regex":
                continue
            path = text.encode()
            path_offset = self.write_path(path, PATH_EXACT if kind == "exact" else PATH_PREFIX, candidates)
            if kind == "prefix" and not path:
                entry.root = path_offset
                continue
            entry.flags |= HOST_HAS_EXACT if kind == "exact" else HOST_HAS_PREFIX
            if kind == "prefix":
                entry.max_segments = max(entry.max_segments, <uint32_t>path.count(b"/"))
            self.out.put_slot(
                entry.paths, entry.path_mask, hash_of_path(path, <uint32_t>len(path), kind == "exact"), path_offset
            )
        if patterns:
            entry.patterns = self.write_patterns(patterns, paths)
        (<HostEntry *>(self.out.data + offset))[0] = entry
        return offset

    cdef uint32_t write_path(self, bytes path, uint32_t kind, list candidates) except? 0:
        cdef uint32_t matches = <uint32_t>len(candidates)
        cdef uint32_t offset = self.out.reserve(
            sizeof(PathEntry) + matches * sizeof(MatchEntry) + <size_t>len(path)
        )
        cdef PathEntry *entry = <PathEntry *>(self.out.data + offset)
        entry.kind = kind
        entry.matches = Span(offset + <uint32_t>sizeof(PathEntry), matches)
        entry.path = Text(entry.matches.offset + matches * <uint32_t>sizeof(MatchEntry), <uint32_t>len(path))
        memcpy(self.out.data + entry.path.offset, <const char *>path, len(path))
        self.fill_matches(entry.matches.offset, candidates)
        return offset

    cdef Span write_patterns(self, list patterns, dict paths) except *:
        cdef Span span
        cdef PatternEntry entry
        cdef Py_ssize_t index
        memset(&entry, 0, sizeof(PatternEntry))
        span.count = <uint32_t>len(patterns)
        span.offset = self.out.reserve(sizeof(PatternEntry), span.count)
        for index, pattern in enumerate(patterns):
            candidates = paths["regex", pattern]
            entry.dfa = self.predicates.write_automaton(pattern)
            entry.pattern = self.out.text(pattern)
            entry.matches.count = <uint32_t>len(candidates)
            entry.matches.offset = self.out.reserve(sizeof(MatchEntry), entry.matches.count)
            self.fill_matches(entry.matches.offset, candidates)
            (<PatternEntry *>(self.out.data + span.offset))[index] = entry
        return span

    cdef int fill_matches(self, uint32_t offset, list candidates) except -1:
        """In order of precedence; equals stay in the order of the file."""
        cdef MatchEntry entry
        cdef RouteName named
        cdef int headers, queries
        cdef Py_ssize_t position
        if len(candidates) > 1:
            candidates.sort(key=precedence)
        for position, candidate in enumerate(candidates):
            _, headers, queries, method, *offsets = candidate
            entry.headers.offset, entry.queries.offset, entry.named, entry.index = offsets
            named = (<const RouteName *>(self.out.data + entry.named))[0]
            entry.route = named.route
            entry.id = named.id
            entry.headers.count = -headers
            entry.queries.count = -queries
            entry.method = self.out.text(method)
            (<MatchEntry *>(self.out.data + offset))[position] = entry
        return 0


def precedence(candidate):
    """Method before none, then more headers, then more query parameters (Gateway API HTTPRouteRule)."""
    return candidate[:3]
