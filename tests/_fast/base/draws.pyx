"""Random numbers and clocks as plain functions, for tests; built in place only."""
from tulle._fast.base.clock cimport clock_monotonic, clock_wall
from tulle._fast.base.random cimport Random, random_below, random_next, random_seed, random_span
from tulle._fast.base.types cimport uint32_t, uint64_t


def state(uint64_t seed) -> tuple[int, int, int, int]:
    """That a generator begins with."""
    cdef Random random
    random_seed(&random, seed)
    return random.state[0], random.state[1], random.state[2], random.state[3]


def words(uint64_t seed, uint32_t count) -> list[int]:
    cdef Random random
    random_seed(&random, seed)
    return [random_next(&random) for _ in range(count)]


def below(uint64_t seed, uint32_t bound, uint32_t draws) -> list[int]:
    """How often each number below `bound` was drawn."""
    cdef Random random
    cdef uint32_t drawn
    random_seed(&random, seed)
    counts = [0] * bound
    for _ in range(draws):
        drawn = random_below(&random, bound)
        counts[drawn] += 1
    return counts


def spans(uint64_t seed, uint64_t bound, uint32_t draws) -> list[int]:
    cdef Random random
    random_seed(&random, seed)
    return [random_span(&random, bound) for _ in range(draws)]


def monotonic() -> int:
    return clock_monotonic()


def wall() -> int:
    return clock_wall()
