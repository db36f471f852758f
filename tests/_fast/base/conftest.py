"""Shared memory of a test's own."""

import os
from collections.abc import Iterator

import pytest

from tulle._fast.base.stats import Stats, create


@pytest.fixture
def stats() -> Iterator[Stats]:
    """Four lanes, all in use."""
    descriptor = create(4, 1024, 4096)
    block = Stats(descriptor)
    block.use_lane(3)
    yield block
    os.close(descriptor)
