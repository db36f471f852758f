"""Shared memory of a test's own."""

import os
from collections.abc import Iterator

import pytest

from tulle._fast.base.stats import Stats, create


@pytest.fixture
def stats() -> Iterator[Stats]:
    """Eight lanes, four of them in use."""
    descriptor = create(8, 16, 16)
    block = Stats(descriptor)
    block.use_lane(3)
    yield block
    os.close(descriptor)
