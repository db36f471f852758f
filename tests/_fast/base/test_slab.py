"""Slabs and buffers: nothing overlaps, nothing is lost, limits hold, memory goes back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests._fast.base.memory import BUF_LARGE, BUF_SMALL, Bufs, Slab

CHUNK = 8192


def taken(slab: Slab, count: int) -> list[int]:
    """Addresses of so many objects; the pattern of each is its number."""
    found = [slab.get(number % 256) for number in range(count)]
    assert None not in found
    return [address for address in found if address is not None]


@given(st.integers(1, 4000), st.lists(st.integers(-20, 20), max_size=60))
def test_objects_never_overlap_and_keep_what_they_hold(object_size: int, moves: list[int]) -> None:
    slab = Slab(object_size, CHUNK)
    held: list[tuple[int, int]] = []
    number = 0
    for move in moves:
        for _ in range(move):
            number += 1
            address = slab.get(number % 256)
            assert address is not None
            held.append((address, number % 256))
        for _ in range(min(-move, len(held))):
            address, pattern = held.pop(number * 7 % len(held))
            assert slab.put(address) == bytes([pattern]) * slab.object_size
        assert slab.used == len(held)
    addresses = sorted(address for address, _ in held)
    assert all(address % 16 == 0 for address in addresses)
    assert all(b - a >= slab.object_size for a, b in itertools.pairwise(addresses))
    for address, pattern in held:
        assert slab.put(address) == bytes([pattern]) * slab.object_size


def test_the_object_put_back_last_is_the_next() -> None:
    slab = Slab(64, CHUNK)
    first, second, third = taken(slab, 3)
    for address in (first, third, second):
        slab.put(address)
    assert [slab.get(0), slab.get(0), slab.get(0)] == [second, third, first]


def test_memory_is_mapped_only_when_the_free_objects_are_gone() -> None:
    slab = Slab(1000, CHUNK)
    assert slab.mapped == 0
    per_chunk = (CHUNK - 64) // slab.object_size
    held = taken(slab, per_chunk)
    assert slab.mapped == CHUNK
    held += taken(slab, 1)
    assert slab.mapped == 2 * CHUNK
    for address in held:
        slab.put(address)
    assert set(taken(slab, len(held))) == set(held)
    assert slab.mapped == 2 * CHUNK


def test_no_more_objects_than_the_limit() -> None:
    slab = Slab(16, CHUNK, 3)
    held = taken(slab, 3)
    assert slab.get(0) is None
    assert slab.used == 3
    slab.put(held[1])
    assert slab.get(0) == held[1]
    assert slab.get(0) is None


def test_trimming_gives_back_what_nobody_uses_and_only_then() -> None:
    slab = Slab(64, CHUNK)
    held = taken(slab, 300)
    mapped = slab.mapped
    for address in held[1:]:
        slab.put(address)
    slab.trim()
    assert slab.mapped == mapped
    assert slab.put(held[0]) == bytes(64)
    slab.trim()
    assert slab.mapped == 0
    assert len(set(taken(slab, 300))) == 300


@pytest.mark.parametrize(("large", "size"), [(False, BUF_SMALL), (True, BUF_LARGE)])
def test_a_buffer_is_as_large_as_it_says(large: bool, size: int) -> None:
    bufs = Bufs()
    held = [bufs.get(large) for _ in range(20)]
    for number, buf in enumerate(held):
        capacity, length, room, refs = bufs.figures(buf)
        assert size - 64 < capacity < size
        assert (length, room, refs) == (0, capacity, 1)
        bufs.fill(buf, number)
        assert bufs.figures(buf) == (capacity, capacity, 0, 1)
    for number, buf in enumerate(held):
        assert bufs.take(buf, 1000) == bytes([number]) * 1000
        assert bufs.figures(buf) == (capacity, capacity - 1000, 0, 1)
        assert bufs.take(buf, capacity - 1000) == bytes([number]) * (capacity - 1000)
        bufs.unref(buf)
    assert bufs.used == (0, 0)


def test_a_buffer_goes_back_to_its_own_slab_with_its_last_reference() -> None:
    bufs = Bufs()
    small, large = bufs.get(False), bufs.get(True)
    assert bufs.used == (1, 1)
    bufs.ref(large)
    bufs.unref(large)
    assert bufs.used == (1, 1)
    bufs.unref(large)
    assert bufs.used == (1, 0)
    bufs.unref(small)
    assert bufs.used == (0, 0)
    assert (bufs.get(False), bufs.get(True)) == (small, large)
    assert bufs.figures(large)[1:] == (0, bufs.figures(large)[0], 1)
