"""Atomic operations on shared memory, sequentially consistent unless the name says otherwise."""
from tulle._fast.base.types cimport int32_t, uint32_t, uint64_t

cdef extern from *:
    """
    #define tulle_fetch_add(pointer, value) __atomic_fetch_add(pointer, value, __ATOMIC_SEQ_CST)
    #define tulle_load(pointer) __atomic_load_n(pointer, __ATOMIC_SEQ_CST)
    #define tulle_store(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_SEQ_CST)
    #define tulle_compare_exchange(pointer, expected, value) \\
        __atomic_compare_exchange_n(pointer, expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
    #define tulle_exchange(pointer, value) __atomic_exchange_n(pointer, value, __ATOMIC_SEQ_CST)
    #define tulle_load_acquire(pointer) __atomic_load_n(pointer, __ATOMIC_ACQUIRE)
    #define tulle_store_release(pointer, value) __atomic_store_n(pointer, value, __ATOMIC_RELEASE)
    #define tulle_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
    """
    int32_t atomic_fetch_add_i32 "tulle_fetch_add"(int32_t *pointer, int32_t value) noexcept nogil
    int32_t atomic_load_i32 "tulle_load"(const int32_t *pointer) noexcept nogil
    uint32_t atomic_load_u32 "tulle_load"(const uint32_t *pointer) noexcept nogil
    uint64_t atomic_load_u64 "tulle_load"(const uint64_t *pointer) noexcept nogil
    void atomic_store_u64 "tulle_store"(uint64_t *pointer, uint64_t value) noexcept nogil
    void atomic_store_u32 "tulle_store"(uint32_t *pointer, uint32_t value) noexcept nogil
    uint32_t atomic_fetch_add_u32 "tulle_fetch_add"(uint32_t *pointer, uint32_t value) noexcept nogil
    uint64_t atomic_fetch_add_u64 "tulle_fetch_add"(uint64_t *pointer, uint64_t value) noexcept nogil
    # True when `expected` was there and `value` is there now; else `expected` gets what is there
    bint atomic_compare_exchange_u32 "tulle_compare_exchange"(
        uint32_t *pointer, uint32_t *expected, uint32_t value
    ) noexcept nogil
    bint atomic_compare_exchange_u64 "tulle_compare_exchange"(
        uint64_t *pointer, uint64_t *expected, uint64_t value
    ) noexcept nogil
    uint32_t atomic_exchange_u32 "tulle_exchange"(uint32_t *pointer, uint32_t value) noexcept nogil
    uint64_t atomic_load_acquire_u64 "tulle_load_acquire"(const uint64_t *pointer) noexcept nogil
    uint32_t atomic_load_acquire_u32 "tulle_load_acquire"(const uint32_t *pointer) noexcept nogil
    void atomic_store_release_u64 "tulle_store_release"(uint64_t *pointer, uint64_t value) noexcept nogil
    void atomic_store_release_u32 "tulle_store_release"(uint32_t *pointer, uint32_t value) noexcept nogil
    # What was read before is not read again after
    void atomic_fence_acquire "tulle_fence_acquire"() noexcept nogil
