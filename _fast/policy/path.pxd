"""The path, normalised before routing (RFC 3986 section 6.2.2): one form for matcher, policies, log and upstream.

Unreserved escapes are decoded, the hexadecimal digits of the others put in upper case, dot segments resolved
(never above the root). What `//`, `%2F` and `%5C` do is said by the listener's flags.
"""
from tulle._fast.base.types cimport uint32_t

cdef enum PathResult:
    PATH_AS_IS = 0                     # already in normal form: nothing was written
    PATH_CHANGED = 1                   # the normal form is at `out`, `*out_length` bytes, never longer than the input
    PATH_REFUSED = -1                  # malformed escape, %00, or refused by the flags

# `flags` are ListenerFlags. `out` has room for `length` bytes.
cdef int path_normalise(
    const char *path, uint32_t length, uint32_t flags, char *out, uint32_t *out_length
) noexcept nogil
