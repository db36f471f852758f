"""What other test modules may use of the codec's: memory that ends at a page which must not be touched."""

cdef class Guarded:
    cdef char *pages
    cdef char *end
    cdef size_t size

    cdef char *place(self, const char *data, size_t length) noexcept
    cdef char *room(self, size_t length) noexcept
