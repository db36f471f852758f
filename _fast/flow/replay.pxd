"""The replay buffer: body bytes that were sent once and are kept, up to a bound, for another try."""
from tulle._fast.flow.types cimport Attempt, Exchange

# Keeps a copy of what is about to be sent, or gives the whole buffer up (X_REPLAY_LOST) when it would grow too large
cdef void replay_keep(Exchange *x, const char *data, size_t length) noexcept nogil
cdef void replay_drop(Exchange *x) noexcept nogil
# A try begins: what is kept goes first
cdef void replay_begin(Attempt *attempt) noexcept nogil
# The next kept piece; False when all have been given
cdef bint replay_next(Attempt *attempt, const char **data, size_t *length) noexcept nogil
