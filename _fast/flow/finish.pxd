"""The end of an exchange: counted, logged, everything that it held given back; and how it slims while it goes on."""
from tulle._fast.base.shared cimport Series
from tulle._fast.flow.types cimport Attempt, Exchange

# Ends the exchange and frees it; the server side goes on (`keep`), closes, or cuts the connection off (`cut`)
cdef void exchange_finish(Exchange *x, bint keep, bint cut) noexcept nogil
# Where the exchange is counted
cdef Series *exchange_series(Exchange *x) noexcept nogil
# Lets go of the request head and the table once the response head has gone and the body goes on
cdef void exchange_detach(Exchange *x) noexcept nogil
# Takes the attempt out of the accounts of its host; a connection still attached is cancelled
cdef void attempt_end(Attempt *attempt) noexcept nogil
# Likewise whatever is under way for the exchange
cdef void attempts_end(Exchange *x) noexcept nogil
