"""See `accept.pxd`."""
from tulle._fast.base.types cimport uint8_t, uint32_t
from tulle._fast.http.message cimport Field, message_at
from tulle._fast.http.named cimport named_next
from tulle._fast.http.octet cimport octet_is_space, octets_same

cdef enum:
    BEST = 1000                        # a weight of 1

cdef struct Weights:                   # in thousandths; 0: not named, or not wanted
    uint32_t json
    uint32_t problem
    uint32_t plain                     # text/plain
    uint32_t text                      # text/*
    bint plain_named


cdef uint32_t skip_space(const uint8_t *text, uint32_t at, uint32_t length) noexcept nogil:
    while at < length and octet_is_space(text[at]):
        at += 1
    return at


cdef uint32_t weight_of(const uint8_t *text, uint32_t length) noexcept nogil:
    """Of the value of `q` (section 12.4.2); what is malformed is worth nothing."""
    cdef uint32_t weight = 0
    cdef uint32_t unit = BEST
    cdef uint32_t index
    if length == 0 or length > 5 or (length > 1 and text[1] != c'.'):
        return 0
    for index in range(length):
        if index == 1:
            continue
        if not c'0' <= text[index] <= c'9':
            return 0
        weight += (text[index] - c'0') * unit
        unit //= 10
    return weight if weight <= BEST else 0


cdef uint32_t element_end(const uint8_t *text, uint32_t at, uint32_t length) noexcept nogil:
    """Where the next comma stands that is not in quotes."""
    cdef bint quoted = False
    while at < length and (quoted or text[at] != c','):
        if text[at] == c'"':
            quoted = not quoted
        elif quoted and text[at] == c'\\':
            at += 1
        at += 1
    return at if at < length else length


cdef uint32_t element_weight(const uint8_t *text, uint32_t at, uint32_t end) noexcept nogil:
    """By its parameters, which begin at `at`."""
    cdef uint32_t last
    while at < end:
        at = skip_space(text, at + 1, end)
        last = at
        while last < end and text[last] != c';':
            last += 1
        if last - at >= 2 and (text[at] | 0x20) == c'q' and text[at + 1] == c'=':
            at += 2
            end = last
            while end > at and octet_is_space(text[end - 1]):
                end -= 1
            return weight_of(text + at, end - at)
        at = last
    return BEST


cdef void take_element(Weights *weights, const uint8_t *text, uint32_t at, uint32_t end) noexcept nogil:
    cdef uint32_t begin = skip_space(text, at, end)
    cdef uint32_t mark = begin
    cdef uint32_t length, weight
    while mark < end and text[mark] != c';':
        mark += 1
    length = mark - begin
    while length > 0 and octet_is_space(text[begin + length - 1]):
        length -= 1
    weight = element_weight(text, mark, end)
    if length == 16 and octets_same(text + begin, b"application/json", 16):
        weights.json = weight
    elif length == 24 and octets_same(text + begin, b"application/problem+json", 24):
        weights.problem = weight
    elif length == 10 and octets_same(text + begin, b"text/plain", 10):
        weights.plain = weight
        weights.plain_named = True
    elif length == 6 and octets_same(text + begin, b"text/*", 6):
        weights.text = weight


cdef int accept_json(const Message *message) noexcept nogil:
    cdef Weights weights
    cdef const Field *field
    cdef const uint8_t *text
    cdef uint32_t index = 0
    cdef uint32_t at, end, plain
    weights.json = 0
    weights.problem = 0
    weights.plain = 0
    weights.text = 0
    weights.plain_named = False
    while True:
        field = named_next(message, b"accept", 6, &index)
        if field == NULL:
            break
        text = <const uint8_t *>message_at(message, field.value)
        at = 0
        while at < field.value_length:
            end = element_end(text, at, field.value_length)
            take_element(&weights, text, at, end)
            at = end + 1
    plain = weights.plain if weights.plain_named else weights.text
    if weights.json == 0 and weights.problem == 0:
        return ACCEPT_TEXT
    if weights.problem > weights.json:
        return ACCEPT_PROBLEM if weights.problem >= plain else ACCEPT_TEXT
    return ACCEPT_JSON if weights.json >= plain else ACCEPT_TEXT
