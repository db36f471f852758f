"""Faults that a route injects, as an exchange meets them.

A delayed exchange waits on its own timer, before it has a cluster: it holds its connection and what it read of the
request, and no place among any cluster's limits. It ends with its client's connection.
"""
from tulle._fast.flow.types cimport Exchange

# True: held back, and `Hooks.exchange_resume` follows
cdef bint fault_delay(Exchange *x) noexcept nogil
# True: answered
cdef bint fault_abort(Exchange *x) noexcept nogil
