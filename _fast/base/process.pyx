"""The few system calls about processes that Python has no words for. Called at start-up, never on the way of a byte."""

cdef extern from "<sys/prctl.h>" nogil:
    int prctl(int option, unsigned long argument, unsigned long, unsigned long, unsigned long) noexcept
    int PR_SET_NAME, PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER

cdef extern from "<sys/mman.h>" nogil:
    int madvise(void *address, size_t length, int advice) noexcept
    int MADV_DONTNEED

cdef extern from "<malloc.h>" nogil:
    int malloc_trim(size_t pad) noexcept
    int mallopt(int parameter, int value) noexcept
    int M_ARENA_MAX, M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def set_name(name: bytes) -> None:
    """Name this process for `ps` and `top`; the system keeps the first 15 bytes."""
    cdef const char *text = name
    prctl(PR_SET_NAME, <unsigned long>text, 0, 0, 0)


def die_with_parent(int signal) -> None:
    """Have the system send this process `signal` when the thread that forked it ends."""
    prctl(PR_SET_PDEATHSIG, <unsigned long>signal, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose own parent ends."""
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def keep_heap_small() -> None:
    """One malloc arena for all threads, and what is freed at the top goes back to the system soon."""
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_TRIM_THRESHOLD, 128 * 1024)
    mallopt(M_MMAP_THRESHOLD, 128 * 1024)


def trim_heap() -> None:
    """Give free pages of the C heap back to the system."""
    malloc_trim(0)


def unmap_read_pages() -> None:
    """Take the pages of files that this process has only read out of its memory.

    Start-up runs through much code that is never needed again. What is needed is mapped again from the page cache,
    one fault for 16 pages. A mapping that has been written to, as that of a library's relocations, keeps its pages.
    """
    cdef size_t first, last
    cdef list clean = []
    with open("/proc/self/smaps", "rb", buffering=4096) as mappings:
        for line in mappings:
            if not line[0:1].isupper():            # 7f00-7f01 r-xp 00000000 fe:00 1234   /usr/lib/x.so
                words = line.split(maxsplit=5)
                of_file = len(words) == 6 and words[5].startswith(b"/") and words[1] in (b"r-xp", b"r--p")
            elif of_file and line.startswith(b"Anonymous:") and line.split()[1] == b"0":
                clean.append([int(bound, 16) for bound in words[0].split(b"-")])
    for first, last in clean:                      # at the end, for this function needs some of them itself
        madvise(<void *>first, last - first, MADV_DONTNEED)
