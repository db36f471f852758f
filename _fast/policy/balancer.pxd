"""What every balancing algorithm works on: the hosts of a cluster as one worker sees them.

An algorithm is a file of its own, `lb_*.pyx`, with one function that answers an index into `hosts` or -1. Hosts whose
`usable` is 0 are passed over. Pure: randomness is passed in. A host may be in several lists; its load is kept once.
"""
from tulle._fast.base.random cimport Random
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t
from tulle._fast.policy.ewma cimport Ewma

cdef enum BalancerTable:
    BALANCER_TABLE_NONE = 0
    BALANCER_TABLE_RING
    BALANCER_TABLE_MAGLEV

cdef enum Availability:
    HOST_DOWN = 0                      # thought to be ill: used in a panic only
    HOST_UP
    HOST_RESTING                       # well, but not used while another of its set is up
    HOST_BARRED                        # refuses, as an open breaker does: not even used in a panic

cdef struct HostLoad:                  # one host as this worker has come to know it, in whichever lists it is
    uint32_t active                    # requests in flight from this worker
    uint32_t available                 # Availability, as of the last look
    uint32_t zone                      # ZoneKind
    uint32_t weight                    # as configured, at least 1
    uint32_t share                     # thousandths of its weight that it has now; used where there is slow start only
    uint64_t key                       # a hash of its address, the same everywhere
    Ewma ewma                          # latency, learnt for peak EWMA only

cdef struct BalancerHost:
    HostLoad *load
    uint64_t deadline                  # round robin: virtual time of the next turn
    uint64_t weight_until              # running sum of weights, for weighted draws
    uint32_t weight                    # in units of the state's, so at least 1
    uint32_t usable

cdef struct BalancerState:
    BalancerHost *hosts
    uint32_t *heap                     # round robin: host indexes, the earliest deadline first
    uint32_t count
    uint32_t next                      # round robin over equal weights
    uint64_t total_weight
    uint64_t seed
    bint equal                         # all weights are the same
    bint begun                         # round robin: deadlines and heap are filled in
    uint32_t unit                      # what a configured weight of 1 is
    uint32_t table_kind                # BalancerTable
    void *table                        # one block, of the algorithm that `table_kind` says

# Takes over `hosts` (weights and loads filled in) and `heap` (room for count). `seed` spreads the first turns of
# several workers
cdef void balancer_reset(
    BalancerState *state, BalancerHost *hosts, uint32_t *heap, uint32_t count, uint64_t seed
) noexcept nogil
# Lets go of hosts, heap and table
cdef void balancer_free(BalancerState *state) noexcept nogil
# Weights anew, from those of the loads: as configured for a `unit` of 1, for more times that and the hosts' shares
cdef void balancer_weigh(BalancerState *state, uint32_t unit) noexcept nogil
# An algorithm's table, in place of the one there is
cdef void balancer_take_table(BalancerState *state, void *table, uint32_t kind) noexcept nogil
# A usable host other than `apart` (-1: any), drawn by weight; -1 when there is none
cdef int32_t balancer_draw(const BalancerState *state, Random *random, int32_t apart) noexcept nogil
# The first usable host at or after `start`, -1 when there is none
cdef int32_t balancer_scan(const BalancerState *state, uint32_t start) noexcept nogil
