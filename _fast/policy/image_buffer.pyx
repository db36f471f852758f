"""See `image_buffer.pxd`."""
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Resize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcpy, memset

from tulle._fast.base.hash cimport hash_bytes
from tulle._fast.policy.image cimport HostSlot


cdef uint64_t subset_key(tuple pairs) except 0:
    cdef uint64_t key = 0
    cdef bytes encoded
    for pair in pairs:
        for text in pair:
            encoded = (<str>text).encode()
            key = hash_bytes(key, <const char *>encoded, <uint32_t>len(encoded))
    return key | 1


cdef class ImageBuffer:
    def __cinit__(self):
        self.block = bytearray()
        self.data = PyByteArray_AS_STRING(self.block)
        self.texts = {}

    cdef uint32_t reserve(self, size_t size, size_t count=1) except? 0:
        cdef size_t offset = (self.size + 7) & ~<size_t>7
        cdef size_t end = offset + size * count
        if end > 0xFFFFFFFF:
            raise MemoryError("the table image would be larger than 4 GiB")
        if end > self.capacity:
            self.capacity = 2 * end + 4096
            PyByteArray_Resize(self.block, self.capacity)
            self.data = PyByteArray_AS_STRING(self.block)
        memset(self.data + self.size, 0, end - self.size)
        self.size = end
        return <uint32_t>offset

    cdef Text text(self, str value) except *:
        cdef Text text
        cdef Py_ssize_t length = 0
        cdef const char *bytes = PyUnicode_AsUTF8AndSize(value, &length)
        if length == 0:
            return Text(0, 0)
        known = self.texts.get(value)
        if known is None:
            text.offset = self.raw(bytes, length)
            self.texts[value] = text.offset
        else:
            text.offset = known
        text.length = <uint32_t>length
        return text

    cdef uint32_t raw(self, const char *bytes, size_t length) except? 0:
        cdef uint32_t offset = self.reserve(length)
        memcpy(self.data + offset, bytes, length)
        return offset

    cdef void put_slot(self, uint32_t table, uint32_t mask, uint32_t hash, uint32_t entry) noexcept nogil:
        cdef HostSlot *slots = <HostSlot *>(self.data + table)
        cdef uint32_t index = hash & mask
        while slots[index].entry != 0:
            index = (index + 1) & mask
        slots[index].hash = hash
        slots[index].entry = entry

    cdef bytearray finish(self):
        PyByteArray_Resize(self.block, self.size)
        return self.block
