"""See `hash_on.pxd`."""
from tulle._fast.base.random cimport random_next
from tulle._fast.base.siphash cimport SipHash, SipKey, sip_begin, sip_end, sip_feed
from tulle._fast.base.types cimport likely
from tulle._fast.flow.cookies cimport COOKIE_DIGITS, cookie_digits, cookie_set
from tulle._fast.flow.types cimport X_ANSWER_FIELDS
from tulle._fast.http.cookie cimport cookie_find
from tulle._fast.http.forwarded cimport forwarded_client
from tulle._fast.http.message cimport Field, message_at
from tulle._fast.http.named cimport named_next
from tulle._fast.policy.hash_policy cimport HASH_COOKIE, HASH_HEADER, HASH_QUERY, HashItem, hash_combine
from tulle._fast.policy.image cimport image_at, image_text
from tulle._fast.policy.query cimport query_byte, query_find


cdef bint feed_header(Exchange *x, const HashItem *item, SipHash *hash) noexcept nogil:
    cdef const char *name = image_text(x.table.image, item.name)
    cdef uint32_t index = 0
    cdef const Field *field = named_next(x.request, name, item.name.length, &index)
    cdef bint found = False
    while field != NULL:
        if found:
            sip_feed(hash, b",", 1)
        sip_feed(hash, message_at(x.request, field.value), field.value_length)
        found = True
        field = named_next(x.request, name, item.name.length, &index)
    return found


cdef bint feed_cookie(Exchange *x, const HashItem *item, SipHash *hash) noexcept nogil:
    cdef const char *value = NULL
    cdef uint32_t length = 0
    cdef char made[16]                 # COOKIE_DIGITS
    if cookie_find(x.request, image_text(x.table.image, item.name), item.name.length, &value, &length):
        sip_feed(hash, value, length)
        return True
    if not item.made:
        return False
    if x.cookie == NULL:
        x.cookie = item
        x.cookie_value = random_next(&x.worker.random)
        x.flags |= X_ANSWER_FIELDS
    elif x.cookie != item:
        # One cookie is made for a request; another one that is wanted is with the next
        return False
    cookie_digits(made, x.cookie_value)
    sip_feed(hash, made, COOKIE_DIGITS)
    return True


cdef bint feed_source(Exchange *x, SipHash *hash) noexcept nogil:
    cdef uint32_t hops = x.listener.trusted_hops
    cdef uint32_t length = 0
    cdef const char *client = forwarded_client(x.request, hops, &length) if hops > 0 else NULL
    if likely(client == NULL):
        client = x.peer
        length = x.peer_length
    sip_feed(hash, client, length)
    return length > 0


cdef bint feed_query(Exchange *x, const HashItem *item, SipHash *hash) noexcept nogil:
    cdef const char *query = message_at(x.request, x.request.query)
    cdef uint32_t position = 0
    cdef uint32_t end = 0
    cdef char byte
    if not query_find(
        query, x.request.query_length, image_text(x.table.image, item.name), item.name.length, &position, &end
    ):
        return False
    while position < end:
        byte = query_byte(query, end, &position)
        sip_feed(hash, &byte, 1)
    return True


cdef bint item_hash(Exchange *x, const HashItem *item, uint64_t *value) noexcept nogil:
    cdef SipHash hash
    cdef SipKey key
    cdef bint found
    key.low = item.kind
    key.high = 0
    sip_begin(&hash, key)
    if item.kind == HASH_HEADER:
        found = feed_header(x, item, &hash)
    elif item.kind == HASH_COOKIE:
        found = feed_cookie(x, item, &hash)
    elif item.kind == HASH_QUERY:
        found = feed_query(x, item, &hash)
    else:
        found = feed_source(x, &hash)
    value[0] = sip_end(&hash)
    return found


cdef uint64_t exchange_hash(Exchange *x) noexcept nogil:
    cdef const HashItem *item
    cdef uint64_t value
    cdef uint32_t index
    cdef bint found = False
    if x.hashed:
        return x.hash
    x.hashed = 1
    if x.settings != NULL:
        item = <const HashItem *>image_at(x.table.image, x.settings.hash_on.offset)
        for index in range(x.settings.hash_on.count):
            if item_hash(x, &item[index], &value):
                x.hash = hash_combine(x.hash, value) if found else value
                found = True
                if item[index].terminal:
                    break
    if not found:
        x.hash = random_next(&x.worker.random)
    return x.hash


cdef void hash_cookie_field(Exchange *x, uint32_t *count) noexcept nogil:
    if x.cookie != NULL and x.answered_by != NULL:
        cookie_set(x, x.cookie, x.cookie_value, 0, count)
