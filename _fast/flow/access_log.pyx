"""See `access_log.pxd`."""


cdef void access_log_copy(Exchange *x) noexcept nogil:
    pass


cdef void access_log_write(Exchange *x) noexcept nogil:
    pass
