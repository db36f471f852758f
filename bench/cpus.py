"""Which processor runs what: the proxy alone on one, load and backend on another."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Placement:
    """Processors for the proxy, and for load, backend and the bench itself."""

    proxy: frozenset[int]
    load: frozenset[int]

    @property
    def apart(self) -> bool:
        """Whether the load leaves the proxy's processor alone; if not, only CPU times can be compared."""
        return not self.proxy & self.load

    @property
    def both(self) -> frozenset[int]:
        """For work that may use the processor of the other while that is idle (a compiling child)."""
        return self.proxy | self.load


def place(available: set[int]) -> Placement:
    """The first processor for the proxy, the second for the load; with a single one, both on that."""
    first, *rest = sorted(available)
    return Placement(proxy=frozenset({first}), load=frozenset(rest[:1] or {first}))


@contextmanager
def on_cpus(cpus: frozenset[int]) -> Iterator[None]:
    """Processes started inside run on these processors from their first instruction, with all threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
