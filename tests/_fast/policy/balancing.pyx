"""The balancers as a Python class, for tests and benchmarks; built in place only."""
from libc.stdlib cimport calloc, free

from tulle._fast.base.random cimport Random, random_next, random_scale, random_seed
from tulle._fast.base.types cimport BUG_ON, int32_t, uint32_t, uint64_t
from tulle._fast.policy.balancer cimport (
    BalancerHost, BalancerState, HostLoad, balancer_free, balancer_reset, balancer_weigh,
)
from tulle._fast.policy.ewma cimport EwmaPolicy, EwmaSeed, ewma_at, ewma_observe, ewma_seed, ewma_take
from tulle._fast.policy.lb_least_request cimport lb_least_request_pick
from tulle._fast.policy.lb_maglev cimport lb_maglev_pick
from tulle._fast.policy.lb_peak_ewma cimport lb_peak_ewma_pick
from tulle._fast.policy.lb_random cimport lb_random_pick
from tulle._fast.policy.lb_ring_hash cimport RingPolicy, lb_ring_hash_pick
from tulle._fast.policy.lb_round_robin cimport lb_round_robin_pick
from tulle._fast.policy.load_bound cimport LoadBound
from tulle._fast.policy.slow_start cimport WARM, SlowStartPolicy, slow_start_share

ROUND_ROBIN, LEAST_REQUEST, RANDOM, PEAK_EWMA, RING_HASH, MAGLEV = range(6)
MILLISECOND = 1000000


cdef class Balancer:
    """Hosts of these weights, all usable and idle, and an algorithm that picks among them."""
    cdef BalancerState state
    cdef HostLoad *loads
    cdef Random random
    cdef int algorithm
    cdef uint32_t choices
    cdef EwmaPolicy ewma
    cdef uint64_t now
    cdef RingPolicy ring
    cdef LoadBound bound

    def __cinit__(self, int algorithm, list weights, uint64_t seed=1, uint32_t choices=2):
        cdef BalancerHost *hosts = <BalancerHost *>calloc(len(weights) + 1, sizeof(BalancerHost))
        cdef uint32_t *heap = <uint32_t *>calloc(len(weights) + 1, sizeof(uint32_t))
        cdef uint32_t index
        self.state.hosts = hosts
        self.state.heap = heap
        self.loads = <HostLoad *>calloc(len(weights) + 1, sizeof(HostLoad))
        if hosts == NULL or heap == NULL or self.loads == NULL:
            raise MemoryError
        for index in range(<uint32_t>len(weights)):
            hosts[index].weight = weights[index]
            hosts[index].usable = 1
            hosts[index].load = &self.loads[index]
            self.loads[index].key = (index + 1) * <uint64_t>0x9E3779B97F4A7C15
        self.algorithm = algorithm
        self.choices = choices
        self.ewma = EwmaPolicy(30 * MILLISECOND, 10000 * MILLISECOND, 1000 * MILLISECOND)
        self.now = 1 << 50
        self.ring = RingPolicy(1024, 1 << 23)
        random_seed(&self.random, seed)
        balancer_reset(&self.state, hosts, heap, <uint32_t>len(weights), seed)

    def __dealloc__(self):
        balancer_free(&self.state)
        free(self.loads)

    cdef int32_t next(self) noexcept nogil:
        if self.algorithm == 0:
            return lb_round_robin_pick(&self.state)
        if self.algorithm == 1:
            return lb_least_request_pick(&self.state, &self.random, self.choices)
        if self.algorithm >= 4:
            return self.next_of(random_next(&self.random))
        if self.algorithm == 3:
            return lb_peak_ewma_pick(&self.state, &self.random, &self.ewma, self.now, self.choices)
        return lb_random_pick(&self.state, &self.random)

    cdef int32_t next_of(self, uint64_t hash) noexcept nogil:
        if self.algorithm == 5:
            return lb_maglev_pick(&self.state, hash, &self.bound)
        return lb_ring_hash_pick(&self.state, hash, &self.ring, &self.bound)

    def of(self, uint64_t hash) -> int:
        """The host of a request with that hash, of 64 bits."""
        return self.next_of(hash)

    def keys(self, keys: list[int]) -> None:
        """What the hosts' places are made of; tables are made anew."""
        cdef uint32_t index
        for index in range(self.state.count):
            self.loads[index].key = keys[index]
        self.state.table_kind = 0

    def points(self, uint32_t smallest, uint32_t largest) -> None:
        """How many the ring has."""
        self.ring = RingPolicy(smallest, largest)

    def bind(self, double factor) -> None:
        """The bound of the load, as a multiple of the mean of what `load` told last; 0 for none."""
        cdef uint32_t index
        self.bound.factor = factor
        self.bound.in_flight = 1
        for index in range(self.state.count):
            self.bound.in_flight += self.loads[index].active

    def shares(self, shares: list[int]) -> None:
        """The thousandths of its weight that each host has; none: all of it."""
        cdef uint32_t index
        for index in range(<uint32_t>len(shares)):
            self.loads[index].share = shares[index]
        balancer_weigh(&self.state, WARM if shares else 1)

    def pick(self) -> int:
        """The index of a host, -1 when none is usable."""
        return self.next()

    def use(self, usable) -> None:
        """These are usable, the others are not."""
        cdef uint32_t index
        usable = set(usable)
        for index in range(self.state.count):
            self.state.hosts[index].usable = index in usable

    def load(self, active: list[int]) -> None:
        """Requests in flight to each host."""
        cdef uint32_t index
        for index in range(self.state.count):
            self.state.hosts[index].load.active = active[index]

    def wait(self, milliseconds: float) -> None:
        """Time goes by."""
        self.now += <uint64_t>(milliseconds * MILLISECOND)

    def answer(self, uint32_t index, milliseconds: float) -> None:
        """A host took so long."""
        ewma_observe(&self.loads[index].ewma, &self.ewma, <uint64_t>(milliseconds * MILLISECOND), self.now)

    def latency(self, uint32_t index) -> float:
        """What is thought of a host now, in milliseconds."""
        return ewma_at(&self.loads[index].ewma, &self.ewma, self.now) / MILLISECOND

    def tell(self, uint32_t index, Balancer other) -> None:
        """What is known of a host, to another worker."""
        cdef EwmaSeed seed = ewma_seed(&self.loads[index].ewma)
        ewma_take(&other.loads[index].ewma, &other.ewma, seed, other.now)

    def hear_nothing(self, uint32_t index) -> None:
        """A look at a host of which no worker has told anything."""
        ewma_take(&self.loads[index].ewma, &self.ewma, 0, self.now)

    def counts(self, uint32_t picks) -> list[int]:
        """How often each host is picked."""
        cdef uint32_t *counted = <uint32_t *>calloc(self.state.count, sizeof(uint32_t))
        cdef uint32_t _pick
        if counted == NULL:
            raise MemoryError
        with nogil:
            for _pick in range(picks):
                counted[self.next()] += 1
        found = [counted[index] for index in range(self.state.count)]
        free(counted)
        return found

    def serve(self, uint32_t concurrency, uint32_t requests, speeds: list[int]) -> tuple[list[int], int]:
        """A closed system: so many requests are always in flight, and whenever one ends the next is sent.

        The chance of a request to be the next that ends is proportional to the speed of its host. Answers how often
        each host was picked, and the most that any had in flight at a time.
        """
        cdef uint32_t count = self.state.count
        cdef uint32_t *counted = <uint32_t *>calloc(2 * count, sizeof(uint32_t))
        cdef uint32_t *speed = counted + count
        cdef uint32_t _request, index, most = 0
        if counted == NULL:
            raise MemoryError
        for index in range(count):
            speed[index] = speeds[index]
        with nogil:
            for _request in range(requests):
                if _request >= concurrency:
                    self.state.hosts[self.ending(speed)].load.active -= 1
                index = <uint32_t>self.next()
                counted[index] += 1
                self.state.hosts[index].load.active += 1
                if self.state.hosts[index].load.active > most:
                    most = self.state.hosts[index].load.active
        found = [counted[index] for index in range(count)]
        free(counted)
        return found, most

    cdef uint32_t ending(self, const uint32_t *speed) noexcept nogil:
        cdef uint64_t total = 0
        cdef uint64_t draw
        cdef uint32_t index
        for index in range(self.state.count):
            total += <uint64_t>self.state.hosts[index].load.active * speed[index]
        draw = random_scale(random_next(&self.random), total)
        for index in range(self.state.count):
            if draw < <uint64_t>self.state.hosts[index].load.active * speed[index]:
                return index
            draw -= <uint64_t>self.state.hosts[index].load.active * speed[index]
        BUG_ON(True)
        return 0

    def pick_often(self, uint32_t times) -> int:
        """For benchmarks; the sum of the picks."""
        cdef uint64_t total = 0
        cdef uint32_t _time
        with nogil:
            for _time in range(times):
                total += <uint64_t>self.next()
        return total


def warmth(window: float, aggression: float, least: int, age: float) -> int:
    """The thousandths of its weight that a host has so many seconds after it joined."""
    cdef SlowStartPolicy policy = SlowStartPolicy(<uint64_t>(window * 1e9), 1 / <double>aggression, least)
    return slow_start_share(&policy, 1 << 50, (1 << 50) + <uint64_t>(age * 1e9))
