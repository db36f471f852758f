"""Large files of memory that many read at random: table images.

A processor finds the place of a page in a table of its own that has room for some thousand pages. Of an image of many
routes each request needs a few pages that the last thousand requests did not, and each of them costs more to find than
to read. So whoever makes a large image asks the system to keep it in pages of 2 MiB (`collapse`), and workers map it
where such pages can be used. Where the system cannot, or the image is smaller, all stays as it is.

Called by `flow/table`, and from Python by the compiling child.
"""
cdef extern from "<sys/mman.h>" nogil:
    void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset) noexcept
    int munmap(void *address, size_t length) noexcept
    int PROT_READ, PROT_NONE, MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MAP_FIXED
    void *MAP_FAILED

cdef enum:
    HUGE_PAGE = 1 << 21
    SMALL_PAGE = 4096

cdef inline void *map_to_read(int fd, size_t size) noexcept nogil:
    """A whole file, to be given back by munmap; MAP_FAILED when there is no room."""
    cdef char *room
    cdef char *place
    cdef char *end
    cdef void *found
    if size < HUGE_PAGE:
        return mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0)
    room = <char *>mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if <void *>room == MAP_FAILED:
        return MAP_FAILED
    place = <char *>((<size_t>room + HUGE_PAGE - 1) & ~<size_t>(HUGE_PAGE - 1))
    end = <char *>((<size_t>place + size + SMALL_PAGE - 1) & ~<size_t>(SMALL_PAGE - 1))
    found = mmap(place, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0)
    if found == MAP_FAILED:
        munmap(room, size + HUGE_PAGE)
        return MAP_FAILED
    if place > room:
        munmap(room, <size_t>(place - room))
    if room + size + HUGE_PAGE > end:
        munmap(end, <size_t>(room + size + HUGE_PAGE - end))
    return found
