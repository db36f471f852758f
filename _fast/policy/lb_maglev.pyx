"""See `lb_maglev.pxd`."""
from libc.stdlib cimport calloc, free, malloc, qsort

from tulle._fast.base.random cimport random_scale, random_split
from tulle._fast.base.types cimport likely, uint32_t, unlikely
from tulle._fast.policy.balancer cimport BALANCER_TABLE_MAGLEV, balancer_scan, balancer_take_table
from tulle._fast.policy.load_bound cimport load_bound_fits

cdef enum:
    FREE = 0xFFFFFFFF
    STEPS = 1024                       # places that are tried for a host that is usable, before all hosts are

cdef struct Claimant:
    uint64_t key
    uint32_t index
    uint32_t weight
    uint32_t place                     # next of its permutation
    uint32_t skip
    uint64_t due                       # of its turns, in units of the heaviest weight


cdef int by_key(const void *left, const void *right) noexcept nogil:
    cdef const Claimant *one = <const Claimant *>left
    cdef const Claimant *other = <const Claimant *>right
    if one.key != other.key:
        return -1 if one.key < other.key else 1
    return -1 if one.index < other.index else 1


cdef Claimant *claimants_make(const BalancerState *state, uint64_t *heaviest) noexcept nogil:
    """In an order that does not depend on that of the list."""
    cdef Claimant *claimants = <Claimant *>calloc(state.count, sizeof(Claimant))
    cdef uint64_t seed
    cdef uint32_t index
    if claimants == NULL:
        return NULL
    for index in range(state.count):
        seed = state.hosts[index].load.key
        claimants[index].key = seed
        claimants[index].index = index
        claimants[index].weight = state.hosts[index].load.weight
        claimants[index].place = <uint32_t>random_scale(random_split(&seed), MAGLEV_SIZE)
        claimants[index].skip = <uint32_t>random_scale(random_split(&seed), MAGLEV_SIZE - 1) + 1
        if claimants[index].weight > heaviest[0]:
            heaviest[0] = claimants[index].weight
    qsort(claimants, state.count, sizeof(Claimant), by_key)
    return claimants


cdef inline uint32_t claim(Claimant *claimant, const uint32_t *table) noexcept nogil:
    cdef uint32_t place
    while True:
        place = claimant.place
        claimant.place += claimant.skip
        if claimant.place >= MAGLEV_SIZE:
            claimant.place -= MAGLEV_SIZE
        if table[place] == FREE:
            return place


cdef void fill(uint32_t *table, Claimant *claimants, uint32_t count, uint64_t heaviest) noexcept nogil:
    """In each round a host of the heaviest weight has a turn, and others have as many as their weights allow."""
    cdef uint32_t left = MAGLEV_SIZE
    cdef uint32_t index
    cdef uint64_t earned
    for index in range(MAGLEV_SIZE):
        table[index] = FREE
    while True:
        for index in range(count):
            earned = claimants[index].due + claimants[index].weight
            if earned < heaviest:
                claimants[index].due = earned
                continue
            claimants[index].due = earned - heaviest
            table[claim(&claimants[index], table)] = claimants[index].index
            left -= 1
            if left == 0:
                return


cdef bint table_make(BalancerState *state) noexcept nogil:
    cdef uint64_t heaviest = 0
    cdef uint32_t *table = <uint32_t *>malloc(MAGLEV_SIZE * sizeof(uint32_t))
    cdef Claimant *claimants = claimants_make(state, &heaviest)
    if table == NULL or claimants == NULL:
        free(table)
        free(claimants)
        return False
    fill(table, claimants, state.count, heaviest)
    free(claimants)
    balancer_take_table(state, table, BALANCER_TABLE_MAGLEV)
    return True


cdef int32_t lb_maglev_pick(BalancerState *state, uint64_t hash, const LoadBound *bound) noexcept nogil:
    cdef const uint32_t *table
    cdef uint32_t place = <uint32_t>random_scale(hash, MAGLEV_SIZE)
    cdef uint32_t index, _step
    if state.count == 0:
        return -1
    if unlikely(state.table_kind != BALANCER_TABLE_MAGLEV) and not table_make(state):
        return -1
    table = <const uint32_t *>state.table
    for _step in range(STEPS):
        index = table[place]
        if likely(state.hosts[index].usable) and load_bound_fits(bound, state, &state.hosts[index]):
            return <int32_t>index
        place += 1
        if place == MAGLEV_SIZE:
            place = 0
    return balancer_scan(state, table[place])
