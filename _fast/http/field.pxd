"""Names of the fields that we know, found by length and first letter.

One table of 64 slots; length and first letter give the slot, and no two names share one (a clash is a compile
error under -Woverride-init and a failing test). An unknown name costs one load and one comparison. The names stand
in the order of `FieldId`. Called by the head parser, the Connection rules and HPACK.
"""
from libc.string cimport memcpy
from tulle._fast.base.types cimport likely, uint8_t, uint32_t, uint64_t
from tulle._fast.http.message cimport FieldId

cdef extern from *:
    """
    #ifndef TULLE_HTTP_FIELD_H
    #define TULLE_HTTP_FIELD_H
    #include <stdint.h>
    #define FIELD_NAMES(NAME) \\
        NAME(1, 'h', "host") \\
        NAME(2, 'c', "connection") \\
        NAME(3, 'c', "content-length") \\
        NAME(4, 't', "transfer-encoding") \\
        NAME(5, 'e', "expect") \\
        NAME(6, 'u', "upgrade") \\
        NAME(7, 'k', "keep-alive") \\
        NAME(8, 'p', "proxy-connection") \\
        NAME(9, 't', "te") \\
        NAME(10, 't', "trailer") \\
        NAME(11, 'h', "http2-settings") \\
        NAME(12, 'x', "x-forwarded-for") \\
        NAME(13, 'x', "x-forwarded-proto") \\
        NAME(14, 'x', "x-forwarded-host") \\
        NAME(15, 'x', "x-request-id") \\
        NAME(16, 'v', "via") \\
        NAME(17, 'u', "user-agent") \\
        NAME(18, 'r', "retry-after") \\
        NAME(19, 't', "traceparent") \\
        NAME(20, 'c', "cookie") \\
        NAME(21, 's', "set-cookie") \\
        NAME(22, 'a', "authorization") \\
        NAME(23, 'x', "x-forwarded-client-cert")
    #define FIELD_SLOT(length, first) (((length) + (first) * 5) & 63)
    #define FIELD_ENTRY(id, first, text) [FIELD_SLOT(sizeof text - 1, first)] = {text, sizeof text - 1, id},
    typedef struct { char text[24]; uint32_t length; uint32_t id; } FieldSlot;
    static const FieldSlot field_slots[64] = { FIELD_NAMES(FIELD_ENTRY) };
    #endif
    """
    ctypedef struct FieldSlot:
        char text[24]
        uint32_t length
        uint32_t id
    const FieldSlot field_slots[64]
    uint32_t FIELD_SLOT(uint32_t length, uint32_t first) noexcept nogil


cdef inline uint64_t field_fold8(const char *text) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, text, 8)
    return word | <uint64_t>0x2020202020202020

cdef inline uint32_t field_fold4(const char *text) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, text, 4)
    return word | <uint32_t>0x20202020

cdef inline int field_id(const char *name, uint32_t length) noexcept nogil:
    """The FieldId of a name in any case of letters. `name` is a token, `length` at least 1.

    Setting bit 5 folds letters and changes no digit and no hyphen, and what else it maps onto one of these is no
    token, so the comparison is exact. Words overlap rather than reach over the end of the name.
    """
    cdef const FieldSlot *slot = &field_slots[FIELD_SLOT(length, <uint8_t>name[0] | 0x20)]
    cdef bint same
    if likely(slot.length != length):
        return FieldId.FIELD_OTHER
    if length >= 8:
        same = field_fold8(name) == field_fold8(slot.text)
        same &= field_fold8(name + length - 8) == field_fold8(slot.text + length - 8)
        if length > 16:
            same &= field_fold8(name + 8) == field_fold8(slot.text + 8)
    elif length >= 4:
        same = field_fold4(name) == field_fold4(slot.text)
        same &= field_fold4(name + length - 4) == field_fold4(slot.text + length - 4)
    else:
        same = (name[0] | 0x20) == slot.text[0] and (name[1] | 0x20) == slot.text[1]
        same = same and (name[length - 1] | 0x20) == slot.text[length - 1]
    return slot.id if same else FieldId.FIELD_OTHER
