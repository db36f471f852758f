"""The Python border of shared memory: what the master needs to lay it out, to tend the lanes and to read the figures."""
from tulle._fast.base.shared cimport SharedHeader


cdef class Stats:
    cdef SharedHeader *shared
    cdef readonly int descriptor
    cdef unsigned char[:] view         # keeps the mapping alive
