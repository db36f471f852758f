"""See `token_check.pxd`."""
from tulle._fast.base.ascii cimport ascii_equal_lower
from tulle._fast.base.shared cimport FLAG_UAEX
from tulle._fast.base.timer cimport timer_set
from tulle._fast.base.types cimport likely, uint8_t, uint16_t, uint32_t, uint64_t, unlikely
from tulle._fast.flow.head_edits cimport extra_add, field_drop
from tulle._fast.flow.reply cimport reply_error_with
from tulle._fast.flow.token_table cimport TOKEN_LONGEST, token_ask, token_find, token_table, token_use, token_wait
from tulle._fast.flow.types cimport (
    TOKEN_GOOD, TOKEN_REASON_EXPIRED, TOKEN_REASON_LATER, TOKEN_REASON_MALFORMED, TOKEN_REASON_MISSING,
    TOKEN_REASON_SEVERAL, TOKEN_REFUSED, TOKEN_SETTLED, TOKEN_UNASKED, TOKEN_WAITING, X_BACKOFF,
    X_HELD, Token, Worker,
)
from tulle._fast.flow.verifier cimport verifier_ask
from tulle._fast.http.cookie cimport CookiePlace, cookie_next
from tulle._fast.http.message cimport FIELD_DROP, Field, message_at
from tulle._fast.http.named cimport named_next
from tulle._fast.policy.image cimport Text, image_at, image_text
from tulle._fast.policy.query cimport query_find
from tulle._fast.policy.token cimport TOKEN_HEADER, TOKEN_QUERY, TokenSource

cdef enum:
    HELD_LONGEST = 5                   # seconds that a request waits for its token to be verified
    SECOND = 1000000000

cdef struct Found:
    const TokenSource *source
    const char *text
    uint32_t length
    uint32_t count                     # of tokens in all places


# -- answers ----------------------------------------------------------------------------------------------------------

cdef bint refuse(Exchange *x, uint16_t status, uint8_t reason) noexcept nogil:
    cdef uint32_t count = 0
    x.token_state = TOKEN_SETTLED
    x.token_reason = reason
    if status == 401 and reason == TOKEN_REASON_MISSING:
        x.worker.lane.header.tokens_missing += 1
        # Who shows nothing is told no error (RFC 6750 section 3.1)
        extra_add(x.worker, &count, b"www-authenticate", 16, b"Bearer realm=\"tulle\"", 20)
    elif status == 401:
        x.worker.lane.header.tokens_refused += 1
        extra_add(x.worker, &count, b"www-authenticate", 16, b"Bearer realm=\"tulle\", error=\"invalid_token\"", 43)
    elif status == 400:
        x.worker.lane.header.tokens_refused += 1
        extra_add(
            x.worker, &count, b"www-authenticate", 16, b"Bearer realm=\"tulle\", error=\"invalid_request\"", 45
        )
    else:
        x.worker.lane.header.tokens_unavailable += 1
        x.retry_after = 1
    reply_error_with(
        x, status, FLAG_UAEX,
        b"a token is needed" if reason == TOKEN_REASON_MISSING
        else b"the token cannot be verified now" if status == 503
        else b"there is more than one token" if status == 400
        else b"the token is not valid",
        count,
    )
    return False


# -- where it is ------------------------------------------------------------------------------------------------------

cdef void note(Found *found, const TokenSource *source, const char *text, uint32_t length) noexcept nogil:
    while length > 0 and text[0] == c' ':
        text += 1
        length -= 1
    if length == 0 or (found.count > 0 and found.text + found.length == text + length):
        return                         # the same one by another prefix
    found.source = source
    found.text = text
    found.length = length
    found.count += 1


cdef void look_into_fields(Exchange *x, const TokenSource *source, Found *found) noexcept nogil:
    cdef const char *name = image_text(x.table.image, source.name)
    cdef const char *prefix = image_text(x.table.image, source.prefix)
    cdef uint32_t length = source.prefix.length
    cdef uint32_t index = 0
    cdef const Field *field = named_next(x.request, name, source.name.length, &index)
    cdef const char *value
    while field != NULL:
        value = message_at(x.request, field.value)
        # Another scheme is none of ours; the name of ours has no case (RFC 9110 section 11.1)
        if field.value_length >= length and ascii_equal_lower(value, prefix, length):
            note(found, source, value + length, field.value_length - length)
        field = named_next(x.request, name, source.name.length, &index)


cdef void look_into_query(Exchange *x, const TokenSource *source, Found *found) noexcept nogil:
    """At all parameters of the name, as at all cookies: nobody knows which of them upstream will take."""
    cdef const char *name = image_text(x.table.image, source.name)
    cdef const char *query = message_at(x.request, x.request.query)
    cdef uint32_t left = x.request.query_length
    cdef uint32_t begin = 0
    cdef uint32_t end = 0
    while query_find(query, left, name, source.name.length, &begin, &end):
        note(found, source, query + begin, end - begin)
        if end == left:
            return
        query += end + 1
        left -= end + 1


cdef void look_into_cookies(Exchange *x, const TokenSource *source, Found *found) noexcept nogil:
    cdef const char *name = image_text(x.table.image, source.name)
    cdef CookiePlace place = CookiePlace(0, 0, NULL)
    cdef const char *value = NULL
    cdef uint32_t length = 0
    while cookie_next(x.request, name, source.name.length, &place, &value, &length):
        note(found, source, value, length)


cdef void look(Exchange *x, const TokenSource *source, Found *found) noexcept nogil:
    if source.place == TOKEN_HEADER:
        look_into_fields(x, source, found)
    elif source.place == TOKEN_QUERY:
        look_into_query(x, source, found)
    else:
        look_into_cookies(x, source, found)


cdef void drop_made_fields(Exchange *x, const TokenEntry *entry) noexcept nogil:
    """What is made of claims is believed upstream: nobody else may write it."""
    cdef const Text *name = <const Text *>image_at(x.table.image, entry.fields.offset)
    cdef uint32_t index
    for index in range(entry.fields.count):
        field_drop(x.request, image_text(x.table.image, name[index]), name[index].length)


cdef void strip(Exchange *x, const TokenSource *source) noexcept nogil:
    """The field that has a token, not another of the name with another scheme."""
    cdef const char *name = image_text(x.table.image, source.name)
    cdef const char *prefix = image_text(x.table.image, source.prefix)
    cdef uint32_t length = source.prefix.length
    cdef uint32_t index = 0
    cdef const Field *field = named_next(x.request, name, source.name.length, &index)
    while field != NULL:
        if field.value_length >= length and ascii_equal_lower(message_at(x.request, field.value), prefix, length):
            x.request.fields[index - 1].flags |= FIELD_DROP
        field = named_next(x.request, name, source.name.length, &index)


# -- what is known of it ----------------------------------------------------------------------------------------------

cdef bint take(Exchange *x, Token *token) noexcept nogil:
    """A token that was verified, whoever showed it first."""
    x.token_state = TOKEN_SETTLED
    if unlikely(token.expires <= x.worker.loop.now + x.worker.wall_offset):
        return refuse(x, 401, TOKEN_REASON_EXPIRED)
    if x.token == NULL:
        token_use(x, token)
    return True


cdef bint hold(Exchange *x, Token *token) noexcept nogil:
    if not token_wait(x, token):
        return refuse(x, 503, TOKEN_REASON_LATER)
    x.token_state = TOKEN_WAITING
    x.flags |= X_HELD | X_BACKOFF
    x.backoff_until = x.worker.loop.now + <uint64_t>HELD_LONGEST * SECOND
    timer_set(&x.worker.loop.timers, &x.timer, x.backoff_until)
    return False


cdef bint settle_state(Exchange *x) noexcept nogil:
    """What came of waiting."""
    if x.token_state == TOKEN_GOOD:
        return take(x, x.token)
    if x.token_state == TOKEN_REFUSED:
        return refuse(x, 401, x.token_reason)
    return refuse(x, 503, TOKEN_REASON_LATER)


cdef bint token_check(Exchange *x, const TokenEntry *entry) noexcept nogil:
    cdef const TokenSource *source = <const TokenSource *>image_at(x.table.image, entry.sources.offset)
    cdef Worker *worker = x.worker
    cdef Token *token
    cdef Found found
    cdef uint32_t index
    if x.token_state == TOKEN_SETTLED:
        return True
    if x.token_state != TOKEN_UNASKED:
        return settle_state(x)
    x.token_entry = entry
    drop_made_fields(x, entry)
    found.count = 0
    for index in range(entry.sources.count):
        look(x, &source[index], &found)
    if found.count == 0:
        x.token_state = TOKEN_SETTLED
        return True if not entry.required else refuse(x, 401, TOKEN_REASON_MISSING)
    if found.count > 1:
        return refuse(x, 400, TOKEN_REASON_SEVERAL)
    if found.length > TOKEN_LONGEST:
        return refuse(x, 401, TOKEN_REASON_MALFORMED)
    if token_table(worker) == NULL:
        return refuse(x, 503, TOKEN_REASON_LATER)
    if found.source.strip:
        strip(x, found.source)
    token = token_find(worker, found.source.asked, found.text, found.length)
    if likely(token != NULL and token.verified):
        worker.lane.header.tokens_known += 1
        return take(x, token)
    if token != NULL:
        return hold(x, token)
    token = token_ask(worker, found.source.asked, found.text, found.length)
    if token == NULL:
        return refuse(x, 503, TOKEN_REASON_LATER)
    verifier_ask(worker, token)
    return hold(x, token)
