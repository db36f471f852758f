"""See `date_parse.pxd`. The names of weekdays are passed over: they say nothing that the rest does not."""
from libc.string cimport memcmp

from tulle._fast.http.message cimport FIELD_RETRY_AFTER, Field, field_bit, message_at, message_field

cdef enum:
    SECONDS_MAX = 1000000000           # more than 30 years stands for longer than anybody waits
    CENTURY_TURN = 70                  # two digits of a year below it are of the next century


cdef inline int digits(const char *text, uint32_t count) noexcept nogil:
    """Their number, -1 when they are not all digits."""
    cdef int value = 0
    cdef uint32_t index
    for index in range(count):
        if not c'0' <= text[index] <= c'9':
            return -1
        value = value * 10 + (text[index] - c'0')
    return value


cdef int month_of(const char *name) noexcept nogil:
    cdef const char *months = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef int index
    for index in range(12):
        if memcmp(months + 3 * index, name, 3) == 0:
            return index + 1
    return -1


cdef int64_t days_since_1970(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Years begin in March here, so that the leap day is the last of one."""
    cdef int64_t shifted = year - 1 if month <= 2 else year
    cdef int64_t era = shifted // 400
    cdef int64_t of_era = shifted - era * 400
    cdef int64_t of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


cdef int64_t moment(int year, int month, int day, const char *clock) noexcept nogil:
    """`clock` is hh:mm:ss."""
    cdef int hour = digits(clock, 2)
    cdef int minute = digits(clock + 3, 2)
    cdef int second = digits(clock + 6, 2)
    if clock[2] != c':' or clock[5] != c':' or not 1 <= day <= 31 or month < 1 or year < 1970:
        return DATE_NONE
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 60):
        return DATE_NONE
    return days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second


cdef int64_t http_date_parse(const char *text, uint32_t length) noexcept nogil:
    cdef uint32_t comma = 0
    cdef int year, day
    while comma < length and text[comma] != c',':
        comma += 1
    if comma == 3 and length == 29 and memcmp(text + 25, b" GMT", 4) == 0:
        # Sun, 06 Nov 1994 08:49:37 GMT
        return moment(digits(text + 12, 4), month_of(text + 8), digits(text + 5, 2), text + 17)
    if comma < length and length - comma == 24 and memcmp(text + length - 4, b" GMT", 4) == 0:
        # Sunday, 06-Nov-94 08:49:37 GMT
        year = digits(text + comma + 9, 2)
        if year >= 0:
            year += 2000 if year < CENTURY_TURN else 1900
        return moment(year, month_of(text + comma + 5), digits(text + comma + 2, 2), text + comma + 12)
    if comma == length and length == 24:
        # Sun Nov  6 08:49:37 1994
        day = digits(text + 9, 1) if text[8] == c' ' else digits(text + 8, 2)
        return moment(digits(text + 20, 4), month_of(text + 4), day, text + 11)
    return DATE_NONE


cdef int64_t retry_after_seconds(const Message *message, uint64_t wall) noexcept nogil:
    cdef const Field *field = message_field(message, FIELD_RETRY_AFTER)
    cdef const char *text
    cdef int64_t seconds = 0
    cdef uint32_t index
    if field == NULL or field.value_length == 0 or message.repeated & field_bit(FIELD_RETRY_AFTER):
        return DATE_NONE
    text = message_at(message, field.value)
    if not c'0' <= text[0] <= c'9':
        seconds = http_date_parse(text, field.value_length)
        if seconds == DATE_NONE:
            return DATE_NONE
        return seconds - <int64_t>wall if seconds > <int64_t>wall else 0
    for index in range(field.value_length):
        if not c'0' <= text[index] <= c'9':
            return DATE_NONE
        if seconds < SECONDS_MAX:
            seconds = seconds * 10 + (text[index] - c'0')
    return seconds if seconds < SECONDS_MAX else SECONDS_MAX
