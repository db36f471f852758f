"""Files in huge pages are what they were; whether the system can make such pages is its own affair."""

import mmap
import os
import random
from pathlib import Path

import pytest

from tulle._fast.base.mapping import collapse
from tulle.controlplane.sealed import sealed_memfd

MIB = 1 << 20


@pytest.mark.parametrize("size", [1, 4096, 2 * MIB - 1, 2 * MIB, 5 * MIB + 3])
def test_a_file_keeps_its_content(size: int) -> None:
    content = random.Random(size).randbytes(size)
    descriptor = sealed_memfd("content", content)
    try:
        before = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
        for _ in range(2):
            collapse(descriptor)
            assert before[:] == content == os.pread(descriptor, size + 1, 0)
        assert os.fstat(descriptor).st_blocks * 512 < size + MIB
    finally:
        os.close(descriptor)


def test_only_what_was_mapped_is_given_back() -> None:
    """Room beside a file that is found at a multiple of 2 MiB is unmapped with it."""
    descriptor = sealed_memfd("content", bytes(5 * MIB))
    try:
        collapse(descriptor)
        before = mapped()
        for _ in range(20):
            collapse(descriptor)
        assert mapped() < before + 10 * MIB
    finally:
        os.close(descriptor)


def mapped() -> int:
    """Bytes of addresses that are taken."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
