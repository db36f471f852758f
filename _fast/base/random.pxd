"""A small, fast generator (xoshiro256+), one a worker. Not for secrets."""
from tulle._fast.base.types cimport uint32_t, uint64_t

cdef extern from *:
    """
    #define tulle_mul_high(x, y) ((uint64_t)(((unsigned __int128)(x) * (uint64_t)(y)) >> 64))
    """
    uint64_t mul_high "tulle_mul_high"(uint64_t x, uint64_t y) noexcept nogil

cdef struct Random:
    uint64_t state[4]

cdef inline uint64_t random_split(uint64_t *seed) noexcept nogil:
    cdef uint64_t mixed
    seed[0] += <uint64_t>0x9E3779B97F4A7C15
    mixed = seed[0]
    mixed = (mixed ^ (mixed >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    mixed = (mixed ^ (mixed >> 27)) * <uint64_t>0x94D049BB133111EB
    return mixed ^ (mixed >> 31)

cdef inline void random_seed(Random *random, uint64_t seed) noexcept nogil:
    random.state[0] = random_split(&seed)
    random.state[1] = random_split(&seed)
    random.state[2] = random_split(&seed)
    random.state[3] = random_split(&seed)

cdef inline uint64_t random_next(Random *random) noexcept nogil:
    cdef uint64_t result = random.state[0] + random.state[3]
    cdef uint64_t shifted = random.state[1] << 17
    random.state[2] ^= random.state[0]
    random.state[3] ^= random.state[1]
    random.state[1] ^= random.state[2]
    random.state[0] ^= random.state[3]
    random.state[2] ^= shifted
    random.state[3] = (random.state[3] << 45) | (random.state[3] >> 19)
    return result

cdef inline uint64_t random_scale(uint64_t word, uint64_t bound) noexcept nogil:
    """A random word spread over [0, bound); the bias is below bound / 2^64. The high bits count, which are the best."""
    return mul_high(word, bound)

cdef inline uint32_t random_below(Random *random, uint32_t bound) noexcept nogil:
    """Uniform in [0, bound)."""
    return <uint32_t>mul_high(random_next(random), bound)

cdef inline uint64_t random_span(Random *random, uint64_t bound) noexcept nogil:
    """Uniform in [0, bound] for spans of time."""
    cdef uint64_t word = random_next(random)
    return mul_high(word, bound + 1) if bound + 1 != 0 else word
