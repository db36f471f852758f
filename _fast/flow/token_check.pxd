"""The token of a request (RFC 6750, RFC 7519): found, looked up, asked about, and answered for when it does not hold.

The worker reads nothing of a token: it compares bytes with those that it knows, and has others verified. A request
waits meanwhile as one does whose delay is injected: it holds no place and no connection upstream. There is no way past:
what cannot be verified in time, or at all, is answered with 503.

Called by authorize. RFC 6750 section 2 (a token in one place only), section 3 (WWW-Authenticate).
"""
from tulle._fast.flow.types cimport Exchange
from tulle._fast.policy.token cimport TokenEntry

# True: it has a token that holds, or needs none. False: it waits, or was answered, and the exchange may be gone
cdef bint token_check(Exchange *x, const TokenEntry *entry) noexcept nogil
