"""See `route_writer.pxd`."""
from libc.string cimport memset

from tulle._fast.base.grpc_figures import grpc_number
from tulle._fast.base.types cimport uint16_t
from tulle._fast.http.message cimport (
    FIELD_AUTHORIZATION, FIELD_CONNECTION, FIELD_CONTENT_LENGTH, FIELD_COOKIE, FIELD_EXPECT, FIELD_HOST,
    FIELD_HTTP2_SETTINGS, FIELD_KEEP_ALIVE, FIELD_OTHER, FIELD_PROXY_CONNECTION, FIELD_RETRY_AFTER,
    FIELD_SET_COOKIE, FIELD_TE, FIELD_TRACEPARENT, FIELD_TRAILER,
    FIELD_TRANSFER_ENCODING, FIELD_UPGRADE, FIELD_USER_AGENT, FIELD_VIA, FIELD_X_FORWARDED_CLIENT_CERT,
    FIELD_X_FORWARDED_FOR, FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PROTO, FIELD_X_REQUEST_ID,
)
from tulle._fast.policy.hedge cimport HedgePolicy
from tulle._fast.policy.image cimport *
from tulle._fast.policy.image_buffer cimport subset_key
from tulle._fast.policy.traffic_writer cimport write_cors, write_fault, write_mirrors, write_rates

# Without retries, for a connection that its host closes as it is used again
DEFAULT_REPLAY_BYTES = 65536

_ROUTES = {"forward": ROUTE_FORWARD, "redirect": ROUTE_REDIRECT, "response": ROUTE_RESPONSE}
_PATH_EDITS = {"full": PATH_EDIT_FULL, "prefix": PATH_EDIT_PREFIX}
_EDITS = {"remove": FIELD_EDIT_REMOVE, "set": FIELD_EDIT_SET, "add": FIELD_EDIT_ADD}
_RETRIES = {
    "connect-failure": RETRY_CONNECT_FAILURE, "reset": RETRY_RESET, "5xx": RETRY_5XX,
    "gateway-error": RETRY_GATEWAY_ERROR, "retriable-4xx": RETRY_4XX, "reset-before-request": RETRY_BEFORE_REQUEST,
    "refused-stream": RETRY_REFUSED_STREAM, "retriable-status-codes": RETRY_STATUSES,
    "retriable-headers": RETRY_HEADERS, "cancelled": RETRY_GRPC_CANCELLED,
    "deadline-exceeded": RETRY_GRPC_DEADLINE_EXCEEDED, "internal": RETRY_GRPC_INTERNAL,
    "resource-exhausted": RETRY_GRPC_RESOURCE_EXHAUSTED, "unavailable": RETRY_GRPC_UNAVAILABLE,
}
_FIELDS = {
    "host": FIELD_HOST, "connection": FIELD_CONNECTION, "content-length": FIELD_CONTENT_LENGTH,
    "transfer-encoding": FIELD_TRANSFER_ENCODING, "expect": FIELD_EXPECT, "upgrade": FIELD_UPGRADE,
    "keep-alive": FIELD_KEEP_ALIVE, "proxy-connection": FIELD_PROXY_CONNECTION, "te": FIELD_TE,
    "trailer": FIELD_TRAILER, "http2-settings": FIELD_HTTP2_SETTINGS, "x-forwarded-for": FIELD_X_FORWARDED_FOR,
    "x-forwarded-proto": FIELD_X_FORWARDED_PROTO, "x-forwarded-host": FIELD_X_FORWARDED_HOST,
    "x-request-id": FIELD_X_REQUEST_ID, "via": FIELD_VIA, "user-agent": FIELD_USER_AGENT,
    "retry-after": FIELD_RETRY_AFTER, "traceparent": FIELD_TRACEPARENT, "cookie": FIELD_COOKIE,
    "set-cookie": FIELD_SET_COOKIE, "authorization": FIELD_AUTHORIZATION,
    "x-forwarded-client-cert": FIELD_X_FORWARDED_CLIENT_CERT,
}


cdef class RouteWriter:

    def __init__(self, ImageBuffer out, PredicateWriter predicates):
        self.out = out
        self.predicates = predicates
        self.spans = {}
        self.entries = {}

    cdef Span write(self, table, list ids) except *:
        cdef Span span
        cdef RouteName named
        cdef uint32_t index = 0
        span.count = <uint32_t>len(ids)
        span.offset = self.out.reserve(sizeof(RouteName), span.count)
        self.clusters = table.clusters
        for group in table.tables:
            for route in group.routes:
                named.name = self.out.text(route.name)
                named.id = ids[index]
                named.guard = 0            # until `write_guards`
                named.grpc = self.write_grpc(route.matches)
                named.route = self.write_route(route, named.id)
                (<RouteName *>(self.out.data + span.offset))[index] = named
                index += 1
        return span

    cdef uint32_t write_grpc(self, tuple matches) except? 0:
        """By what numbers the calls that each match names are counted; 0 where none names any."""
        cdef uint32_t offset
        cdef Py_ssize_t index
        if not any([match.service or match.rpc for match in matches]):
            return 0
        offset = self.out.reserve(sizeof(uint64_t), <size_t>len(matches))
        for index, match in enumerate(matches):
            (<uint64_t *>(self.out.data + offset))[index] = grpc_number(match.service, match.rpc)
        return offset

    cdef uint32_t write_route(self, route, uint32_t identity) except? 0:
        cdef RouteEntry entry
        cdef uint32_t offset
        cdef bytes written
        memset(&entry, 0, sizeof(RouteEntry))
        entry.kind = _ROUTES[route.kind]
        if route.connect:
            entry.flags |= ROUTE_ALLOW_CONNECT
        if route.upgrade:
            entry.flags |= ROUTE_ALLOW_UPGRADE
        if route.timeout_to_head:
            entry.flags |= ROUTE_TIMEOUT_TO_HEAD
        if route.grpc:
            entry.flags |= ROUTE_GRPC
        entry.backends = self.write_backends(route.backends, &entry.total_weight)
        entry.request_timeout = route.request_timeout
        entry.late_timeout = route.late_timeout
        entry.replay_bytes = DEFAULT_REPLAY_BYTES
        entry.try_timeout = route.try_timeout
        entry.idle_timeout = route.idle_timeout
        if route.retry is not None:
            self.fill_retry(&entry, route.retry)
        if route.hedge is not None:
            self.fill_hedge(&entry, route.hedge)
        if route.target is not None:
            self.fill_target(&entry, route.target)
        entry.status = route.status
        if route.response is not None:
            entry.body = self.out.text(route.response.body)
            entry.content_type = self.out.text(route.response.content_type)
        entry.request_edits = self.write_edits(route.request_edits)
        entry.response_edits = self.write_edits(route.response_edits)
        self.fill_traffic(&entry, route, identity)
        written = (<const char *>&entry)[:sizeof(RouteEntry)]
        known = self.entries.get(written)
        if known is not None:
            return known
        offset = self.out.reserve(sizeof(RouteEntry))
        (<RouteEntry *>(self.out.data + offset))[0] = entry
        self.entries[written] = offset
        return offset

    cdef int fill_traffic(self, RouteEntry *entry, route, uint32_t identity) except -1:
        if route.rate_limits:
            entry.flags |= ROUTE_POLICED
            entry.rate_limits = write_rates(self.out, route.rate_limits, f"route {identity}")
            if any([row.always for row in route.rate_limits]):
                entry.flags |= ROUTE_ANSWER_FIELDS
        if route.fault is not None:
            entry.flags |= ROUTE_POLICED
            entry.fault = write_fault(self.out, self.predicates, route.fault)
        if route.cors is not None:
            entry.flags |= ROUTE_POLICED | ROUTE_ANSWER_FIELDS
            entry.cors = write_cors(self.out, route.cors)
        entry.mirrors = write_mirrors(self.out, route.mirrors, self.clusters)
        if route.max_body:
            entry.flags |= ROUTE_POLICED
            entry.max_body = route.max_body
        return 0

    cdef int fill_retry(self, RouteEntry *entry, retry) except -1:
        entry.retry_attempts = retry.attempts
        for reason in retry.on:
            entry.retry_on |= <uint32_t>_RETRIES[reason]
        if retry.statuses:
            entry.retry_on |= RETRY_STATUSES
            entry.retry_statuses = self.write_statuses(retry.statuses)
        entry.retry_headers = self.predicates.write(retry.headers)
        entry.retry_after_max = retry.longest_wait
        entry.retry_base = retry.base
        entry.retry_max = retry.longest
        entry.replay_bytes = retry.replay_bytes
        if retry.unsafe_methods:
            entry.flags |= ROUTE_RETRY_UNSAFE
        return 0

    cdef int fill_hedge(self, RouteEntry *entry, hedge) except -1:
        cdef HedgePolicy policy
        entry.flags |= ROUTE_HEDGED
        known = self.spans.get(hedge)
        if known is None:
            policy.delay = hedge.delay
            policy.quantile = hedge.quantile
            policy.min_delay = hedge.min_delay
            known = self.spans[hedge] = (self.out.raw(<const char *>&policy, sizeof(HedgePolicy)), 1)
        entry.hedge = known[0]
        return 0

    cdef int fill_target(self, RouteEntry *entry, target) except -1:
        entry.scheme_value = self.out.text(target.scheme)
        entry.host_value = self.out.text(target.hostname)
        entry.port_value = target.port
        if target.hostname and entry.kind == ROUTE_FORWARD:
            entry.flags |= ROUTE_REWRITE_HOST
        if target.path is not None:
            entry.path_edit = _PATH_EDITS[target.path.kind]
            entry.path_value = self.out.text(target.path.value)
        return 0

    cdef Span write_backends(self, tuple rows, uint32_t *total) except *:
        cdef Span span
        cdef BackendEntry *entry
        cdef Py_ssize_t index
        cdef uint32_t until = 0
        total[0] = 0
        for row in rows:
            total[0] += <uint32_t>row.weight
        if not rows:
            return Span(0, 0)
        # Most routes share theirs with others: then all requests read the same few lines
        known = self.spans.get(rows)
        if known is not None:
            return Span(known[0], known[1])
        span.count = <uint32_t>len(rows)
        span.offset = self.out.reserve(sizeof(BackendEntry), span.count)
        entry = <BackendEntry *>(self.out.data + span.offset)
        for index, row in enumerate(rows):
            until += <uint32_t>row.weight
            entry[index].cluster = row.cluster
            entry[index].weight_until = until
            if row.subset:
                entry[index].subset = row.subset
                entry[index].subset_key = subset_key(self.clusters[row.cluster].subsets[row.subset - 1])
        self.spans[rows] = (span.offset, span.count)
        return span

    cdef Span write_statuses(self, tuple statuses) except *:
        cdef Span span
        cdef Py_ssize_t index
        known = self.spans.get(statuses)
        if known is not None:
            return Span(known[0], known[1])
        span.count = <uint32_t>len(statuses)
        span.offset = self.out.reserve(sizeof(uint16_t), span.count)
        for index, status in enumerate(statuses):
            (<uint16_t *>(self.out.data + span.offset))[index] = status
        self.spans[statuses] = (span.offset, span.count)
        return span

    cdef Span write_edits(self, tuple rows) except *:
        cdef Span span
        cdef FieldEdit edit
        cdef Py_ssize_t index
        if not rows:
            return Span(0, 0)
        known = self.spans.get(rows)
        if known is not None:
            return Span(known[0], known[1])
        span.count = <uint32_t>len(rows)
        span.offset = self.out.reserve(sizeof(FieldEdit), span.count)
        for index, row in enumerate(rows):
            edit.kind = _EDITS[row.kind]
            edit.id = _FIELDS.get(row.name.lower(), FIELD_OTHER)
            edit.name = self.out.text(row.name)
            edit.value = self.out.text(row.value)
            (<FieldEdit *>(self.out.data + span.offset))[index] = edit
        self.spans[rows] = (span.offset, span.count)
        return span
