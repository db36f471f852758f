"""The replay buffer: body bytes that were sent once and are kept, up to a bound, for another try."""
from tulle._fast.flow.types cimport Exchange

# Keeps a copy of what is about to be sent, or gives the whole buffer up (X_REPLAY_LOST) when it would grow too large
cdef void replay_keep(Exchange *x, const char *data, size_t length) noexcept nogil
cdef void replay_drop(Exchange *x) noexcept nogil
cdef void replay_rewind(Exchange *x) noexcept nogil
# The next kept piece; False when all have been given
cdef bint replay_next(Exchange *x, const char **data, size_t *length) noexcept nogil
