"""See `siphash.pxd`."""
from tulle._fast.base.types cimport uint8_t


cdef inline uint64_t rotate(uint64_t word, int bits) noexcept nogil:
    return (word << bits) | (word >> (64 - bits))


cdef inline void sip_round(SipHash *self) noexcept nogil:
    self.v0 += self.v1
    self.v1 = rotate(self.v1, 13) ^ self.v0
    self.v0 = rotate(self.v0, 32)
    self.v2 += self.v3
    self.v3 = rotate(self.v3, 16) ^ self.v2
    self.v0 += self.v3
    self.v3 = rotate(self.v3, 21) ^ self.v0
    self.v2 += self.v1
    self.v1 = rotate(self.v1, 17) ^ self.v2
    self.v2 = rotate(self.v2, 32)


cdef inline void sip_word(SipHash *self, uint64_t word) noexcept nogil:
    self.v3 ^= word
    sip_round(self)
    self.v0 ^= word


cdef void sip_begin(SipHash *self, SipKey key) noexcept nogil:
    self.v0 = key.low ^ <uint64_t>0x736F6D6570736575
    self.v1 = key.high ^ <uint64_t>0x646F72616E646F6D
    self.v2 = key.low ^ <uint64_t>0x6C7967656E657261
    self.v3 = key.high ^ <uint64_t>0x7465646279746573
    self.word = 0
    self.length = 0


cdef void sip_feed(SipHash *self, const char *bytes, uint32_t length) noexcept nogil:
    cdef uint32_t index
    for index in range(length):
        self.word |= <uint64_t><uint8_t>bytes[index] << (8 * (self.length & 7))
        self.length += 1
        if self.length & 7 == 0:
            sip_word(self, self.word)
            self.word = 0


cdef uint64_t sip_end(SipHash *self) noexcept nogil:
    sip_word(self, self.word | self.length << 56)
    self.v2 ^= 0xFF
    sip_round(self)
    sip_round(self)
    sip_round(self)
    return self.v0 ^ self.v1 ^ self.v2 ^ self.v3
