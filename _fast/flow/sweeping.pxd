"""When this worker frees series of names that have gone: a little every few milliseconds, once the master asks for it.

What is done is in `base/sweep`. It may be done because an exchange holds on to a series only while it holds the table
that has its ids (`Exchange.series`), and the master asks only for what no table has. One that goes on without its table
looks its series up at its end, and makes it anew when it has been freed: nobody asks for that, and the next sweep frees
it.

Called by `worker_control` and `worker`.
"""
from tulle._fast.flow.types cimport Worker

cdef void sweeping_install(Worker *worker, int shared_fd) noexcept nogil
# The descriptor holds the numbers that live, and is closed
cdef void sweeping_begin(Worker *worker, int numbers) noexcept nogil
cdef void sweeping_end(Worker *worker) noexcept nogil
