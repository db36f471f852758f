"""See `authorization.pxd`."""
from libc.string cimport memcmp

from tulle._fast.base.ascii cimport ascii_equal_lower
from tulle._fast.base.types cimport likely
from tulle._fast.http.message cimport FIELD_DROP, Field, message_at
from tulle._fast.policy.claims cimport CLAIM_VALUE, ClaimRecord, claim_next
from tulle._fast.policy.image cimport image_at, image_text
from tulle._fast.policy.network cimport network_has


# -- values -----------------------------------------------------------------------------------------------------------

cdef bint text_matches(
    const Image *image, const ValueEntry *value, const char *text, uint32_t length
) noexcept nogil:
    cdef const char *wanted = image_text(image, value.text)
    if value.kind == VALUE_EXACT:
        return length == value.text.length and memcmp(text, wanted, length) == 0
    if value.kind == VALUE_PREFIX:
        return length >= value.text.length and memcmp(text, wanted, value.text.length) == 0
    if value.kind == VALUE_SUFFIX:
        return (
            length >= value.text.length
            and memcmp(text + length - value.text.length, wanted, value.text.length) == 0
        )
    return value.kind == VALUE_PRESENT and length > 0


cdef bint any_text(const Image *image, Span values, const char *text, uint32_t length) noexcept nogil:
    cdef const ValueEntry *value = <const ValueEntry *>image_at(image, values.offset)
    cdef uint32_t index
    if length == 0:
        return False
    for index in range(values.count):
        if text_matches(image, &value[index], text, length):
            return True
    return False


cdef bint any_host(const Image *image, Span values, const char *host, uint32_t length) noexcept nogil:
    cdef const ValueEntry *value = <const ValueEntry *>image_at(image, values.offset)
    cdef const char *wanted
    cdef uint32_t index, size
    for index in range(values.count):
        wanted = image_text(image, value[index].text)
        size = value[index].text.length
        if length < size or length == 0 or (value[index].kind == VALUE_EXACT and length != size):
            continue
        if ascii_equal_lower(host + length - size if value[index].kind == VALUE_SUFFIX else host, wanted, size):
            return True
    return False


cdef bint any_network(const Image *image, Span values, const uint8_t *address) noexcept nogil:
    cdef const ValueEntry *value = <const ValueEntry *>image_at(image, values.offset)
    cdef uint32_t index
    for index in range(values.count):
        if network_has(<const uint8_t *>image_text(image, value[index].text), value[index].number, address):
            return True
    return False


cdef bint any_number(const Image *image, Span values, uint32_t number) noexcept nogil:
    cdef const ValueEntry *value = <const ValueEntry *>image_at(image, values.offset)
    cdef uint32_t index
    for index in range(values.count):
        if value[index].number == number:
            return True
    return False


# -- header fields ----------------------------------------------------------------------------------------------------

cdef inline bint is_named(const Image *image, Text name, const Message *message, const Field *field) noexcept nogil:
    """What is not passed on is not looked at: upstream sees what policies have seen."""
    return field.name_length == name.length and not field.flags & FIELD_DROP and ascii_equal_lower(
        message_at(message, field.name), image_text(image, name), name.length
    )


cdef bint joined_equals(
    const Image *image, Text name, const Message *message, uint32_t start, const char *text, uint32_t length
) noexcept nogil:
    """Whether the values of all fields of the name, with commas between, have this text from `start` on."""
    cdef const Field *field
    cdef uint32_t index
    cdef uint32_t position = 0         # in the joined value, where the field begins
    cdef uint32_t first, last
    cdef bint seen = False
    for index in range(message.field_count):
        field = &message.fields[index]
        if not is_named(image, name, message, field):
            continue
        if seen:
            if start <= position < start + length and text[position - start] != c',':
                return False
            position += 1
        seen = True
        first = max(position, start)
        last = min(position + field.value_length, start + length)
        if first < last and memcmp(
            message_at(message, field.value) + (first - position), text + (first - start), last - first
        ) != 0:
            return False
        position += field.value_length
    return True


cdef bint any_joined(
    const Image *image, const ConditionEntry *condition, const Message *message, uint32_t total
) noexcept nogil:
    cdef const ValueEntry *value = <const ValueEntry *>image_at(image, condition.values.offset)
    cdef const char *wanted
    cdef uint32_t index, size
    for index in range(condition.values.count):
        wanted = image_text(image, value[index].text)
        size = value[index].text.length
        if total < size or (value[index].kind == VALUE_EXACT and total != size):
            continue
        if joined_equals(
            image, condition.name, message, total - size if value[index].kind == VALUE_SUFFIX else 0, wanted, size
        ):
            return True
    return False


cdef bint any_field(
    const Image *image, const ConditionEntry *condition, const Message *message, bint each
) noexcept nogil:
    """`each`: it is enough that one line of several has the value."""
    cdef const Field *field
    cdef const Field *only = NULL
    cdef uint32_t index
    cdef uint32_t lines = 0
    cdef uint32_t total = 0
    for index in range(message.field_count):
        field = &message.fields[index]
        if not is_named(image, condition.name, message, field):
            continue
        if each and any_text(image, condition.values, message_at(message, field.value), field.value_length):
            return True
        only = field
        lines += 1
        total += field.value_length
    if lines == 0:
        return False
    if likely(lines == 1):
        return any_text(image, condition.values, message_at(message, only.value), only.value_length)
    return any_joined(image, condition, message, total + lines - 1)


cdef bint any_claim(const Image *image, const ConditionEntry *condition, const Facts *facts) noexcept nogil:
    cdef ClaimRecord record
    cdef uint32_t position = 0
    while claim_next(facts.claims, facts.claims_length, &position, &record):
        if record.kind == CLAIM_VALUE and record.index == condition.claim and any_text(
            image, condition.values, record.text, record.length
        ):
            return True
    return False


# -- conditions -------------------------------------------------------------------------------------------------------

cdef bint any_value(
    const Image *image, const ConditionEntry *condition, const Facts *facts, bint denies
) noexcept nogil:
    cdef const Message *message = facts.message
    if condition.attribute == ATTRIBUTE_PRINCIPAL:
        return any_text(image, condition.values, facts.principal, facts.principal_length)
    if condition.attribute == ATTRIBUTE_PEER:
        return facts.peer_known and any_network(image, condition.values, facts.peer)
    if condition.attribute == ATTRIBUTE_CLIENT:
        return facts.client_known and any_network(image, condition.values, facts.client)
    if condition.attribute == ATTRIBUTE_PORT:
        return any_number(image, condition.values, facts.port)
    if condition.attribute == ATTRIBUTE_HOST:
        return any_host(image, condition.values, facts.host, facts.host_length)
    if condition.attribute == ATTRIBUTE_PATH:
        return any_text(image, condition.values, facts.path, facts.path_length)
    if condition.attribute == ATTRIBUTE_METHOD:
        return any_text(
            image, condition.values, message_at(message, message.method_offset), message.method_length
        )
    if condition.attribute == ATTRIBUTE_HEADER:
        return any_field(image, condition, message, denies != (condition.negated != 0))
    return any_claim(image, condition, facts)


cdef bint conditions_hold(const Image *image, Span conditions, const Facts *facts, bint denies) noexcept nogil:
    cdef const ConditionEntry *condition = <const ConditionEntry *>image_at(image, conditions.offset)
    cdef uint32_t index
    for index in range(conditions.count):
        if condition[index].attribute >= ATTRIBUTE_HOST and facts.message == NULL:
            if denies:
                continue
            return False
        if any_value(image, &condition[index], facts, denies) == (condition[index].negated != 0):
            return False
    return True


cdef bint any_part(const Image *image, Span parts, const Facts *facts, bint denies) noexcept nogil:
    cdef const PartEntry *part = <const PartEntry *>image_at(image, parts.offset)
    cdef uint32_t index
    if parts.count == 0:
        return True
    for index in range(parts.count):
        if conditions_hold(image, part[index].conditions, facts, denies):
            return True
    return False


cdef int policy_matches(const Image *image, const PolicyEntry *policy, const Facts *facts) noexcept nogil:
    cdef const RuleEntry *rule = <const RuleEntry *>image_at(image, policy.rules.offset)
    cdef bint denies = policy.action == POLICY_DENY
    cdef uint32_t index
    for index in range(policy.rules.count):
        if (
            any_part(image, rule[index].sources, facts, denies)
            and any_part(image, rule[index].targets, facts, denies)
            and conditions_hold(image, rule[index].conditions, facts, denies)
        ):
            return <int>index
    return -1


# -- policies ---------------------------------------------------------------------------------------------------------

cdef bint policy_selects(const Image *image, const PolicyEntry *policy, uint32_t listener) noexcept nogil:
    cdef const uint32_t *ids = <const uint32_t *>image_at(image, policy.listeners.offset)
    cdef uint32_t index
    if policy.listeners.count == 0:
        return True
    for index in range(policy.listeners.count):
        if ids[index] == listener:
            return True
    return False


cdef struct Search:
    const PolicyEntry *found           # the first that matches
    const PolicyEntry *dry_run         # the first dry run that was asked
    bint asked


cdef void search(
    const Image *image, Span policies, const Facts *facts, bint shadow, Search *result
) noexcept nogil:
    """The first of these that matches, unless there is one already."""
    cdef const uint32_t *offsets = <const uint32_t *>image_at(image, policies.offset)
    cdef const PolicyEntry *policy
    cdef uint32_t index
    for index in range(policies.count):
        if result.found != NULL:
            return
        policy = <const PolicyEntry *>image_at(image, offsets[index])
        if (policy.dry_run and not shadow) or not policy_selects(image, policy, facts.listener):
            continue
        result.asked = True
        if policy.dry_run and result.dry_run == NULL:
            result.dry_run = policy
        if policy_matches(image, policy, facts) >= 0:
            result.found = policy


cdef struct Finding:
    Decision decision
    bint asked                         # there was a policy that could have decided
    const PolicyEntry *dry_run         # the first dry run among those that might have allowed it


cdef Finding decide(
    const Image *image, const GuardEntry *listener, const GuardEntry *route, const Facts *facts, bint shadow
) noexcept nogil:
    cdef Finding finding
    cdef Search denials
    cdef Search allowances
    denials = Search(NULL, NULL, False)
    allowances = Search(NULL, NULL, False)
    search(image, listener.denials, facts, shadow, &denials)
    if route != NULL:
        search(image, route.denials, facts, shadow, &denials)
    finding = Finding(Decision(False, denials.found), True, NULL)
    if denials.found != NULL:
        return finding
    search(image, listener.allowances, facts, shadow, &allowances)
    if route != NULL:
        search(image, route.allowances, facts, shadow, &allowances)
    finding.decision = Decision(allowances.found != NULL or not allowances.asked, allowances.found)
    finding.asked = allowances.asked
    finding.dry_run = allowances.dry_run
    return finding


cdef Decision policies_decide(
    const Image *image, const GuardEntry *listener, const GuardEntry *route, const Facts *facts, bint shadow
) noexcept nogil:
    return decide(image, listener, route, facts, shadow).decision


cdef void note_audits(
    const Image *image, Span policies, const Facts *facts, PolicyNote note, void *argument
) noexcept nogil:
    cdef const uint32_t *offsets = <const uint32_t *>image_at(image, policies.offset)
    cdef const PolicyEntry *policy
    cdef uint32_t index
    for index in range(policies.count):
        policy = <const PolicyEntry *>image_at(image, offsets[index])
        if policy_selects(image, policy, facts.listener) and policy_matches(image, policy, facts) >= 0:
            note(argument, policy, POLICY_AUDITED)


cdef Decision policies_apply(
    const Image *image, const GuardEntry *listener, const GuardEntry *route, const Facts *facts,
    PolicyNote note, void *argument
) noexcept nogil:
    cdef Finding real = decide(image, listener, route, facts, False)
    cdef Finding shadow
    note_audits(image, listener.audits, facts, note, argument)
    if route != NULL:
        note_audits(image, route.audits, facts, note, argument)
    if real.asked:
        note(argument, real.decision.policy, POLICY_ALLOWED if real.decision.allowed else POLICY_DENIED)
    if listener.dry_runs == 0:
        return real.decision
    shadow = decide(image, listener, route, facts, True)
    if shadow.decision.allowed and not real.decision.allowed:
        note(argument, shadow.decision.policy, POLICY_SHADOW_ALLOWED)
    elif real.decision.allowed and not shadow.decision.allowed:
        # Denied because none allows it: then that is by the dry run that has made allowing necessary
        note(
            argument, shadow.decision.policy if shadow.decision.policy != NULL else shadow.dry_run,
            POLICY_SHADOW_DENIED,
        )
    return real.decision
