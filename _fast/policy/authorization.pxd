"""Authorization: whether policies let a request, or a connection, go its way.

The semantics are those of Istio's AuthorizationPolicy. Deny policies are asked before allow policies, each in the order
of the file. Who is denied by none is allowed when there is no allow policy, or when one matches. A policy matches when
any of its rules does; a rule, when any of its sources, any of its targets and all of its conditions hold. What is not
known of a request (nobody's certificate, no such header) is no value: it equals nothing, and a `not` of it holds.

Of a connection that carries no requests only principal, addresses and port are known (`message` NULL). What a policy
asks beyond that makes it stricter, never looser: a rule that allows does not match, and in one that denies it holds.

Several header fields of one name are one value, with commas between. In a rule that would deny, each of them counts by
itself too, so that a second line hides nothing.

Pure: no allocation, no clock; its cost is bounded by the values of the policies that are asked. Called by
flow/authorize and by `tulle explain`.
"""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.message cimport Message
from tulle._fast.policy.image cimport Image, Span, Text

cdef enum PolicyAction:
    POLICY_ALLOW = 0
    POLICY_DENY
    POLICY_AUDIT

cdef enum PolicyOutcome:               # what is counted, see PolicyStats
    POLICY_ALLOWED = 0
    POLICY_DENIED
    POLICY_AUDITED
    POLICY_SHADOW_ALLOWED              # a dry run would have let it through
    POLICY_SHADOW_DENIED               # a dry run would have denied it

cdef enum Attribute:
    ATTRIBUTE_PRINCIPAL = 0
    ATTRIBUTE_PEER
    ATTRIBUTE_CLIENT
    ATTRIBUTE_PORT
    ATTRIBUTE_HOST                     # from here on: only of requests
    ATTRIBUTE_PATH
    ATTRIBUTE_METHOD
    ATTRIBUTE_HEADER
    ATTRIBUTE_CLAIM

cdef enum ValueKind:
    VALUE_EXACT = 0
    VALUE_PREFIX
    VALUE_SUFFIX
    VALUE_PRESENT                      # anything but an empty text
    VALUE_NETWORK
    VALUE_NUMBER

# -- in the table image -----------------------------------------------------------------------------------------------

cdef struct ValueEntry:
    uint32_t kind                      # ValueKind
    uint32_t number                    # or bits of a network
    Text text                          # or the 16 bytes of a network

cdef struct ConditionEntry:
    uint32_t attribute                 # Attribute
    uint32_t negated
    uint32_t claim                     # index
    uint32_t reserved
    Text name                          # of a header, in lower case
    Span values                        # ValueEntry

cdef struct PartEntry:
    Span conditions                    # ConditionEntry, which must all hold

cdef struct RuleEntry:
    Span sources                       # PartEntry
    Span targets                       # PartEntry
    Span conditions                    # ConditionEntry

cdef struct PolicyEntry:
    uint32_t id                        # as of listeners: never used twice
    uint32_t action                    # PolicyAction
    uint32_t dry_run
    uint32_t index                     # in the order of the file
    Text name
    Span listeners                     # uint32_t: ids; none: all
    Span rules                         # RuleEntry

cdef struct GuardEntry:                # of a listener, or of a route: the policies that select it
    Span denials                       # uint32_t: offsets of PolicyEntry
    Span allowances
    Span audits
    uint32_t port                      # of a listener; 0: not known
    uint32_t dry_runs                  # 1: one of all these, or of the routes, is a dry run
    uint32_t token                     # offset of a TokenEntry, or 0; a route's comes in place of its listener's
    uint32_t reserved

# -- asking -----------------------------------------------------------------------------------------------------------

cdef struct Facts:
    const char *principal
    uint32_t principal_length          # 0: nobody
    uint32_t listener                  # id
    uint32_t port
    bint peer_known
    bint client_known
    uint8_t peer[16]                   # an address of IPv4 as ::ffff:a.b.c.d
    uint8_t client[16]                 # as far as proxies in front are believed; else as `peer`
    const Message *message             # NULL: a connection without requests
    const char *host                   # without port and without a dot at its end
    uint32_t host_length
    const char *path                   # in normal form: what routes are matched with
    uint32_t path_length
    const char *claims                 # of the token, see policy/claims; NULL: there is none
    uint32_t claims_length

cdef struct Decision:
    bint allowed
    const PolicyEntry *policy          # NULL: none; then what is denied is so because no allow policy matched

# Called for what is to be counted; `policy` NULL: denied because no allow policy matched
ctypedef void (*PolicyNote)(void *argument, const PolicyEntry *policy, int outcome) noexcept nogil

# The number of the rule that matches, or -1
cdef int policy_matches(const Image *image, const PolicyEntry *policy, const Facts *facts) noexcept nogil
# Whether a policy of a route is for this listener too
cdef bint policy_selects(const Image *image, const PolicyEntry *policy, uint32_t listener) noexcept nogil
# `route` may be NULL; `shadow`: dry runs count as if they were none
cdef Decision policies_decide(
    const Image *image, const GuardEntry *listener, const GuardEntry *route, const Facts *facts, bint shadow
) noexcept nogil
# The same, and all that is to be counted is noted
cdef Decision policies_apply(
    const Image *image, const GuardEntry *listener, const GuardEntry *route, const Facts *facts,
    PolicyNote note, void *argument
) noexcept nogil
