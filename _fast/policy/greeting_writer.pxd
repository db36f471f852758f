"""Writes what a listener asks of a connection before its own bytes begin. See `greeting.pxd`."""
from tulle._fast.base.types cimport uint32_t
from tulle._fast.policy.image_buffer cimport ImageBuffer

# The offset of a GreetingEntry, or 0 when nothing is asked
cdef uint32_t write_greeting(ImageBuffer out, listener) except? 0
