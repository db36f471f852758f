"""Two sidecars with HTTP/2 over mutual TLS between them: many clients on a few connections."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests._fast.flow.crowd import Server, check_all_answered, crowd, lasting_crowd
from tests._fast.flow.mesh import Mesh, get
from tests._fast.flow.papers import CLIENT_ID, Papers
from tests._fast.flow.sidecar import until
from tests.programs import h2load

Program = Callable[[str], str]


@pytest.fixture
def backend() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(params=["http2", "auto"])
def mesh(request: pytest.FixtureRequest, tmp_path: Path, backend: Server) -> Iterator[Mesh]:
    made = Mesh(tmp_path, backend.address, protocol=request.param)
    yield made
    made.close()


def test_many_clients_ride_on_one_connection(mesh: Mesh) -> None:
    with crowd(mesh.a.connect, 16, lambda index: iter([get(f"/{index}")] * 20)) as clients:
        pass
    for index, client in enumerate(clients):
        assert client.broken == []
        assert [answer.body for answer in client.answers] == [f"/{index}".encode()] * 20
    assert mesh.b.total("downstream_total") == 1
    log = mesh.folder / "b/access.log"
    until(lambda: log.read_text().count("\n") == 320, "the log is written")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(line["principal"], line["protocol"]) for line in lines} == {(CLIENT_ID, "HTTP/2")}


def test_certificates_change_under_load(mesh: Mesh) -> None:
    # not as fast as can be: what reloads has a lower priority
    with lasting_crowd(mesh.a.connect, 4, lambda index: get(f"/{index}"), pause=0.005) as clients:
        for _ in range(2):
            mesh.issue()
            mesh.b.reload(mesh.inner)
            mesh.a.reload(mesh.outer)
    check_all_answered(clients)


def test_connections_that_end_lose_nothing(mesh: Mesh) -> None:
    """The inner one says GOAWAY in two steps after twenty requests, while others are on their way to it."""
    mesh.inner["listeners"][0]["max_requests_per_connection"] = 20
    mesh.b.reload(mesh.inner)
    with crowd(mesh.a.connect, 8, lambda index: iter([get(f"/{index}")] * 50)) as clients:
        pass
    for index, client in enumerate(clients):
        assert client.broken == []
        assert [answer.body for answer in client.answers] == [f"/{index}".encode()] * 50
    assert mesh.b.total("downstream_total") > 4


def test_a_root_that_is_removed_is_believed_no_longer(mesh: Mesh) -> None:
    """A connection that was made while it was takes no more requests."""
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/before")])) as clients:
        pass
    assert [answer.status for answer in clients[0].answers] == [200]
    folder = mesh.folder / "new"
    folder.mkdir()
    other = Papers(folder, "other")
    mesh.outer["clusters"]["stock"]["tls"]["ca"] = other.ca
    mesh.a.reload(mesh.outer)
    with crowd(mesh.a.connect, 1, lambda index: iter([get("/after")])) as clients:
        pass
    assert [answer.status for answer in clients[0].answers] == [503]


def test_h2load_through_the_pair(mesh: Mesh, program: Program) -> None:
    url = f"http://127.0.0.1:{mesh.a.ports['127.0.0.1']}/load"
    h2load(program("h2load"), url, 2000, "-c4", "-m20")
