"""A mesh of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.conftest import Start
from tests.proxy.control.meshes import Mesh, Shop, applied, call, listening
from tests.proxy.running import Backend


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    folder = tmp_path / "mesh"
    folder.mkdir()
    found = Mesh(folder)
    found.begin()
    yield found
    found.kill()


@pytest.fixture
def shop(mesh: Mesh, start: Start, backend: Backend) -> Shop:
    """Two sidecars that serve: the caller's outbound address and where `cart` comes in."""
    port = int(backend.address.rpartition(":")[2])
    applied(mesh, "127.0.0.1:1", [], port)
    web, cart = mesh.sidecar(start, "web"), mesh.sidecar(start, "cart")
    web.ready(), cart.ready()
    inbound = listening(cart, "inbound")
    outbound = listening(web, "outbound")
    applied(mesh, "127.0.0.1:1", [inbound], port)
    assert call(outbound) == (200, b"backend")
    return mesh, web, cart, outbound, inbound
