"""See `greeting_writer.pxd`."""
from libc.string cimport memcpy, memset

from tulle._fast.policy.authorization_writer import network_bytes
from tulle._fast.policy.greeting cimport (
    PROXY_OFF, PROXY_OPTIONAL, PROXY_REQUIRED, GreetingEntry, NetworkEntry, PortEntry,
)
from tulle._fast.policy.image cimport Span

_MODES = {"off": PROXY_OFF, "optional": PROXY_OPTIONAL, "required": PROXY_REQUIRED}


cdef Span write_sources(ImageBuffer out, rows) except *:
    cdef Span span
    cdef NetworkEntry entry
    cdef Py_ssize_t index
    cdef bytes address
    memset(&entry, 0, sizeof(NetworkEntry))
    span.count = <uint32_t>len(rows)
    span.offset = out.reserve(sizeof(NetworkEntry), span.count)
    for index, row in enumerate(rows):
        address = network_bytes(row.text)
        memcpy(entry.address, <const char *>address, sizeof(entry.address))
        entry.bits = row.number
        (<NetworkEntry *>(out.data + span.offset))[index] = entry
    return span


cdef Span write_ports(ImageBuffer out, rows) except *:
    cdef Span span
    cdef PortEntry entry
    cdef Py_ssize_t index
    memset(&entry, 0, sizeof(PortEntry))
    span.count = <uint32_t>len(rows)
    span.offset = out.reserve(sizeof(PortEntry), span.count)
    for index, (port, silence) in enumerate(rows):
        entry.port = port
        entry.silence = silence
        (<PortEntry *>(out.data + span.offset))[index] = entry
    return span


cdef uint32_t write_greeting(ImageBuffer out, listener) except? 0:
    cdef GreetingEntry entry
    cdef uint32_t offset
    row = listener.greeting
    if row is None:
        return 0
    memset(&entry, 0, sizeof(GreetingEntry))
    entry.proxy = _MODES[row.proxy]
    entry.header_timeout = row.header_timeout
    entry.silence = row.silence
    entry.sources = write_sources(out, row.sources)
    entry.ports = write_ports(out, row.ports)
    offset = out.reserve(sizeof(GreetingEntry))
    (<GreetingEntry *>(out.data + offset))[0] = entry
    return offset
