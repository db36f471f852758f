"""See `date.pxd`."""
from libc.string cimport memcpy

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    cdef struct tm:
        int tm_sec
        int tm_min
        int tm_hour
        int tm_mday
        int tm_mon
        int tm_year
        int tm_wday
    tm *gmtime_r(const time_t *when, tm *result) noexcept


cdef inline void put_two(char *out, int value) noexcept nogil:
    out[0] = <char>(c'0' + value // 10)
    out[1] = <char>(c'0' + value % 10)


cdef void http_date(char *out, uint64_t seconds) noexcept nogil:
    cdef const char *days = b"SunMonTueWedThuFriSat"
    cdef const char *months = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef time_t when = <time_t>seconds
    cdef tm parts
    gmtime_r(&when, &parts)
    memcpy(out, b"Sun, 00 Jan 0000 00:00:00 GMT", DATE_LENGTH)
    memcpy(out, days + 3 * parts.tm_wday, 3)
    put_two(out + 5, parts.tm_mday)
    memcpy(out + 8, months + 3 * parts.tm_mon, 3)
    put_two(out + 12, (parts.tm_year + 1900) // 100)
    put_two(out + 14, (parts.tm_year + 1900) % 100)
    put_two(out + 17, parts.tm_hour)
    put_two(out + 20, parts.tm_min)
    put_two(out + 23, parts.tm_sec)
