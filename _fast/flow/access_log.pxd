"""Access log lines, made by the worker and appended to its ring; the logger writes them out.

A line is rendered from the log items of the table under which the request was routed. When an exchange lets go of its
table, the parts that depend on the heads are rendered into a copy that has holes for what only the end will tell.
"""
from tulle._fast.flow.types cimport Exchange

cdef void access_log_copy(Exchange *x) noexcept nogil
cdef void access_log_write(Exchange *x) noexcept nogil
