"""Slabs, buffers, lists and maps as Python classes, for tests; built in place only.

Every object that a slab hands out is filled with a pattern of its own, which must still be there when it is put back:
objects that overlap, or a slab that writes into one, are seen.
"""
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tulle._fast.base cimport buf as bufs
from tulle._fast.base.buf cimport Buf, BufPool, buf_get, buf_length, buf_pool_destroy, buf_pool_init, buf_ref
from tulle._fast.base.buf cimport buf_room, buf_unref
from tulle._fast.base.idmap cimport IdMap, idmap_destroy, idmap_find, idmap_init, idmap_place
from tulle._fast.base.list cimport (
    Node, list_append, list_empty, list_init, list_insert_before, list_prepend, list_remove,
)
from tulle._fast.base.slab cimport Slab as SlabStruct
from tulle._fast.base.slab cimport SlabChunk, slab_destroy, slab_get, slab_init, slab_put, slab_trim
from tulle._fast.base.types cimport uint8_t, uint32_t

BUF_SMALL = bufs.BUF_SMALL
BUF_LARGE = bufs.BUF_LARGE


cdef class Slab:
    cdef SlabStruct slab

    def __cinit__(self, size_t object_size, size_t chunk_size, uint32_t limit=0):
        slab_init(&self.slab, object_size, chunk_size, limit)

    def __dealloc__(self):
        slab_destroy(&self.slab)

    def get(self, uint8_t pattern) -> int | None:
        """The address of an object, filled; None when there is none to be had."""
        cdef void *item = slab_get(&self.slab)
        if item == NULL:
            return None
        memset(item, pattern, self.slab.object_size)
        return <uintptr_t>item

    def put(self, uintptr_t address) -> bytes:
        """What the object held is the answer."""
        cdef bytes held = (<char *>address)[:self.slab.object_size]
        slab_put(&self.slab, <void *>address)
        return held

    def trim(self) -> None:
        slab_trim(&self.slab)

    @property
    def used(self) -> int:
        return self.slab.used

    @property
    def object_size(self) -> int:
        return self.slab.object_size

    @property
    def mapped(self) -> int:
        """Bytes."""
        cdef SlabChunk *chunk = self.slab.chunks
        total = 0
        while chunk != NULL:
            total += chunk.size
            chunk = chunk.next
        return total


cdef class Bufs:
    """A pool of buffers; a buffer is named by its address."""
    cdef BufPool pool

    def __cinit__(self):
        buf_pool_init(&self.pool)

    def __dealloc__(self):
        buf_pool_destroy(&self.pool)

    def get(self, bint large) -> int:
        return <uintptr_t>buf_get(&self.pool, large)

    def ref(self, uintptr_t buf) -> None:
        buf_ref(<Buf *>buf)

    def unref(self, uintptr_t buf) -> None:
        buf_unref(&self.pool, <Buf *>buf)

    def fill(self, uintptr_t address, uint8_t byte) -> None:
        """Write all the room there is."""
        cdef Buf *buf = <Buf *>address
        memset(buf.data + buf.end, byte, buf_room(buf))
        buf.end = buf.capacity

    def take(self, uintptr_t address, uint32_t count) -> bytes:
        cdef Buf *buf = <Buf *>address
        buf.start += count
        return buf.data[buf.start - count:buf.start]

    def figures(self, uintptr_t address) -> tuple[int, int, int, int]:
        """Capacity, length, room, references."""
        cdef Buf *buf = <Buf *>address
        return buf.capacity, buf_length(buf), buf_room(buf), buf.refs

    @property
    def used(self) -> tuple[int, int]:
        """Small ones and large ones."""
        return self.pool.small.used, self.pool.large.used


cdef class List:
    """A list of numbered nodes."""
    cdef Node head
    cdef Node *nodes

    def __cinit__(self, uint32_t count):
        cdef uint32_t index
        self.nodes = <Node *>calloc(count, sizeof(Node))
        if self.nodes == NULL:
            raise MemoryError
        list_init(&self.head)
        for index in range(count):
            list_init(&self.nodes[index])

    def __dealloc__(self):
        free(self.nodes)

    def append(self, uint32_t index) -> None:
        list_append(&self.head, &self.nodes[index])

    def prepend(self, uint32_t index) -> None:
        list_prepend(&self.head, &self.nodes[index])

    def insert_before(self, uint32_t position, uint32_t index) -> None:
        list_insert_before(&self.nodes[position], &self.nodes[index])

    def remove(self, uint32_t index) -> None:
        list_remove(&self.nodes[index])

    @property
    def empty(self) -> bool:
        return list_empty(&self.head)

    def forwards(self) -> list[int]:
        cdef Node *node = self.head.next
        found = []
        while node != &self.head:
            found.append(node - self.nodes)
            node = node.next
        return found

    def backwards(self) -> list[int]:
        cdef Node *node = self.head.prev
        found = []
        while node != &self.head:
            found.append(node - self.nodes)
            node = node.prev
        return found


cdef class Ids:
    """A map from 32-bit keys to numbers, which stand for pointers; 0 is NULL."""
    cdef IdMap map

    def __cinit__(self):
        if idmap_init(&self.map) < 0:
            raise MemoryError

    def __dealloc__(self):
        idmap_destroy(&self.map)

    def place(self, uint32_t key, uintptr_t value) -> int:
        """Put a value in; what was there is the answer."""
        cdef void **place = idmap_place(&self.map, key)
        before = <uintptr_t>place[0]
        place[0] = <void *>value
        return before

    def find(self, uint32_t key) -> int:
        return <uintptr_t>idmap_find(&self.map, key)

    @property
    def used(self) -> int:
        return self.map.used
