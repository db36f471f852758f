"""The control plane at scale, on a small one: all clients get what they should, and all figures are there."""

import asyncio
from pathlib import Path

from bench.control import World, simulate


def test_a_small_mesh(tmp_path: Path) -> None:
    world = World(tmp_path, sidecars=4, services=8, endpoints=24, seed=1)
    found = asyncio.run(simulate(world, changes=2, pause=0.0))
    assert 0 < found["propagation p50, s"] <= found["propagation longest, s"]
    assert found["cold start of all, s"] > 0
    assert found["PSS, MB"] > 1
