"""Compare-and-exchange of two 64-bit words that lie side by side, on 16 bytes' alignment: sequentially consistent.

Every x86-64 since 2006 and every AArch64 has it. There is no atomic load of a pair here: who reads the words one after
the other may see halves of two states, and learns so from the exchange, which then fails.
"""
from tulle._fast.base.types cimport uint64_t

cdef extern from *:
    """
    typedef union {
        uint64_t words[2];
        unsigned __int128 both;
    } tulle_pair;

    #if defined(__x86_64__)
    __attribute__((target("cx16")))
    #endif
    static inline int tulle_pair_exchange(
        void *pointer, uint64_t first, uint64_t second, uint64_t new_first, uint64_t new_second
    ) {
        tulle_pair expected = {{first, second}};
        tulle_pair wanted = {{new_first, new_second}};
        return __sync_bool_compare_and_swap((unsigned __int128 *)pointer, expected.both, wanted.both);
    }
    """
    # True when (first, second) were there and the new ones are there now
    bint pair_exchange "tulle_pair_exchange"(
        void *pointer, uint64_t first, uint64_t second, uint64_t new_first, uint64_t new_second
    ) noexcept nogil
