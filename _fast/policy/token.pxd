"""What a guard asks of tokens, in the table image: where a request may have one, and what the verifier is asked."""
from tulle._fast.base.types cimport uint32_t, uint64_t
from tulle._fast.policy.image cimport Span, Text

cdef enum TokenPlace:
    TOKEN_HEADER = 0
    TOKEN_COOKIE
    TOKEN_QUERY

cdef struct TokenSource:
    uint32_t place                     # TokenPlace
    uint32_t strip                     # 1: the field is not passed on
    Text name                          # of a header: in lower case
    Text prefix                        # of a header's value, in lower case
    uint64_t asked                     # names to the verifier what is asked: providers and claims

cdef struct TokenEntry:
    Span sources                       # TokenSource; none: nothing is asked
    Span fields                        # Text: names, in lower case, of fields that only claims make
    uint32_t required
    uint32_t reserved
