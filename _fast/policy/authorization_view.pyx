"""The border to Python of authorization: asks the policies of a routes segment as a worker would.

For `tulle explain` and tests: the very functions that workers call, on the very image. A request is (method, host,
path, headers), its path in normal form; None stands for a connection that carries no requests.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy, memset

from tulle._fast.base.types cimport uint16_t, uint32_t
from tulle._fast.http.message cimport MESSAGE_FIELDS_MAX, Message
from tulle._fast.policy.authorization cimport (
    Decision, Facts, GuardEntry, PolicyEntry, policies_apply, policy_matches, policy_selects,
)
from tulle._fast.policy.image cimport Image, ListenerEntry, RouteName, Span, image_at, image_open

OUTCOMES = ("allowed", "denied", "audited", "shadow_allowed", "shadow_denied")


cdef void note_outcome(void *argument, const PolicyEntry *policy, int outcome) noexcept with gil:
    (<list>argument).append((<int>policy.index if policy != NULL else None, OUTCOMES[outcome]))


cdef class Authorizer:
    """A routes segment: any contiguous buffer, which must not change. ValueError when it is none."""
    cdef Py_buffer view
    cdef const Image *image
    cdef Message message
    cdef bytes head
    cdef object kept                   # what the facts point into

    def __cinit__(self, segment):
        PyObject_GetBuffer(segment, &self.view, PyBUF_SIMPLE)
        self.image = image_open(self.view.buf, <size_t>self.view.len)
        if self.image == NULL:
            raise ValueError("this is not a routes segment of this version of Tulle")

    def __dealloc__(self):
        PyBuffer_Release(&self.view)

    def ask(
        self, uint32_t listener, route, request=None, bytes principal=b"", bytes peer=b"", bytes client=b"",
        bytes claims=b"",
    ):
        """What is decided: (allowed, the policy that decided or None, what is counted, rules that match).

        Policies are told by their place in the file. `listener` is an index, `route` that of a route over all
        tables, or None; addresses have 16 bytes, or none when they are not known. What is counted is a list of (policy
        or None, outcome); the rules are {policy: rule, -1 when none matches} of all policies that select the request.
        """
        cdef const ListenerEntry *entry = self.listener(listener)
        cdef const GuardEntry *guard = <const GuardEntry *>image_at(self.image, entry.guard)
        cdef const GuardEntry *of_route = NULL
        cdef const RouteName *routes = <const RouteName *>image_at(self.image, self.image.routes.offset)
        cdef Decision decision
        cdef Facts facts
        if entry.guard == 0:
            return True, None, [], {}
        if route is not None and routes[<uint32_t>route].guard != 0:
            of_route = <const GuardEntry *>image_at(self.image, routes[<uint32_t>route].guard)
        memset(&facts, 0, sizeof(Facts))
        self.kept = principal, peer, client, claims, request
        facts.principal = principal
        facts.principal_length = <uint32_t>len(principal)
        facts.listener = entry.id
        facts.port = guard.port
        if len(peer) == 16:
            facts.peer_known = True
            memcpy(facts.peer, <const char *>peer, 16)
        if len(client) == 16:
            facts.client_known = True
            memcpy(facts.client, <const char *>client, 16)
        if claims:
            facts.claims = claims
            facts.claims_length = <uint32_t>len(claims)
        if request is not None:
            method, host, path, headers = request
            self.fill_request(&facts, method, host, path, headers)
        counted: list = []
        decision = policies_apply(self.image, guard, of_route, &facts, note_outcome, <void *>counted)
        matching = self.matching(guard, &facts)
        if of_route != NULL:
            matching |= self.matching(of_route, &facts)
        decider = <int>decision.policy.index if decision.policy != NULL else None
        return decision.allowed, decider, counted, matching

    cdef const ListenerEntry *listener(self, uint32_t index) except NULL:
        if index >= self.image.listeners.count:
            raise LookupError(f"there is no listener {index}")
        return <const ListenerEntry *>image_at(self.image, self.image.listeners.offset) + index

    cdef dict matching(self, const GuardEntry *guard, const Facts *facts):
        found = {}
        for span in (guard.denials, guard.allowances, guard.audits):
            self.match_span(span, facts, found)
        return found

    cdef int match_span(self, Span span, const Facts *facts, dict found) except -1:
        cdef const uint32_t *offsets = <const uint32_t *>image_at(self.image, span.offset)
        cdef const PolicyEntry *policy
        cdef uint32_t index
        for index in range(span.count):
            policy = <const PolicyEntry *>image_at(self.image, offsets[index])
            if policy_selects(self.image, policy, facts.listener):
                found[<int>policy.index] = policy_matches(self.image, policy, facts)
        return 0

    cdef int fill_request(self, Facts *facts, bytes method, bytes host, bytes path, headers) except -1:
        cdef Py_ssize_t index
        cdef Py_ssize_t end
        if len(headers) > MESSAGE_FIELDS_MAX:
            raise ValueError(f"{len(headers)} header fields, at most {MESSAGE_FIELDS_MAX}")
        memset(&self.message, 0, sizeof(Message))
        head = bytearray(method)
        self.message.method_length = <uint32_t>len(method)
        for index, (name, value) in enumerate(headers):
            end = len(head)
            self.message.fields[index].name = <uint32_t>end
            self.message.fields[index].name_length = <uint16_t>len(name)
            self.message.fields[index].value = <uint32_t>(end + len(name))
            self.message.fields[index].value_length = <uint32_t>len(value)
            head += name + value
        self.message.field_count = <uint16_t>len(headers)
        self.head = bytes(head)
        self.message.base = self.head
        facts.message = &self.message
        facts.host = host
        facts.host_length = <uint32_t>len(host)
        facts.path = path
        facts.path_length = <uint32_t>len(path)
        return 0
