"""A small, fast generator (xoshiro256+), one a worker. Not for secrets."""
from tulle._fast.base.types cimport uint32_t, uint64_t

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

cdef inline uint32_t random_below(Random *random, uint32_t bound) noexcept nogil:
    """Uniform in [0, bound); the bias of the multiply is below bound / 2^32."""
    return <uint32_t>(((random_next(random) >> 32) * <uint64_t>bound) >> 32)

cdef inline uint64_t random_span(Random *random, uint64_t bound) noexcept nogil:
    """Uniform in [0, bound] for spans of time."""
    if bound >= <uint64_t>1 << 53:
        return random_next(random) % (bound + 1)
    return <uint64_t>((<double>(random_next(random) >> 11) * (1.0 / 9007199254740992.0)) * <double>(bound + 1))
