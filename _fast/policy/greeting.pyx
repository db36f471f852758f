"""See `greeting.pxd`."""
from tulle._fast.policy.image cimport image_at
from tulle._fast.policy.network cimport network_has


cdef bint greeting_believes(const Image *image, const GreetingEntry *greeting, const uint8_t *address) noexcept nogil:
    cdef const NetworkEntry *networks = <const NetworkEntry *>image_at(image, greeting.sources.offset)
    cdef uint32_t index
    for index in range(greeting.sources.count):
        if network_has(networks[index].address, networks[index].bits, address):
            return True
    return greeting.sources.count == 0


cdef uint64_t greeting_silence(const Image *image, const GreetingEntry *greeting, uint32_t port) noexcept nogil:
    cdef const PortEntry *ports = <const PortEntry *>image_at(image, greeting.ports.offset)
    cdef uint32_t index
    for index in range(greeting.ports.count):
        if ports[index].port == port:
            return ports[index].silence
    return greeting.silence
