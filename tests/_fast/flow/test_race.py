"""The keep-alive race under load: a backend that closes idle connections whenever it likes."""

import random
from collections.abc import Callable, Iterator

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.crowd import Server, crowd
from tests._fast.flow.peers import request, response


class Fickle(Server):
    """Closes a connection in place of one answer in ten, unless that one is the first of its connection."""

    def __init__(self, seed: int) -> None:
        super().__init__(self.choose)
        self.random = random.Random(seed)
        self.doomed: set[bytes] = set()  # a path is refused like this once: its replay is answered

    def choose(self, start: bytes, carried: int) -> bytes:
        path = start.split(b" ")[1]
        draw = self.random.random()
        if draw < 0.1 and carried > 1 and path not in self.doomed:
            self.doomed.add(path)
            return self.CLOSE
        return response(path, *([b"Connection: close"] if draw > 0.95 else []))


class Restless(Server):
    """Closes kept connections at any moment, also as a request is on its way to them: then with RST."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.dropped = 0

    def between(self) -> None:
        kept = [connection for connection in self.unread if self.carried[connection]]
        if kept and self.random.random() < 0.05:
            self.drop(self.random.choice(kept))
            self.dropped += 1


def paths(method: str) -> Callable[[int], Iterator[bytes]]:
    return lambda client: (request(method, f"/{client}/{index}") for index in range(300))


@pytest.mark.parametrize("seed", range(3))
def test_no_get_fails(laboratory: Laboratory, seed: int) -> None:
    """Each is answered with its own answer, though one in ten dies on a reused connection."""
    with Fickle(seed) as server:
        lab = laboratory(endpoints=[server.address], workers=2)
        with crowd(lab.sidecar.connect, 8, paths("GET")) as clients:
            pass
        for number, client in enumerate(clients):
            assert client.broken == []
            assert {answer.status for answer in client.answers} == {200}
            assert [answer.body for answer in client.answers] == [
                b"/%d/%d" % (number, index) for index in range(300)
            ]
        assert lab.sidecar.total("replays") == len(server.doomed) > 50
        assert lab.sidecar.flags() == {}


@pytest.mark.parametrize("seed", range(3))
def test_no_post_is_sent_twice(laboratory: Laboratory, seed: int) -> None:
    """Some fail, as they must; none reaches the backend a second time."""
    with Fickle(seed) as server:
        lab = laboratory(endpoints=[server.address], workers=2)
        with crowd(lab.sidecar.connect, 8, paths("POST")) as clients:
            pass
        statuses = [answer.status for client in clients for answer in client.answers]
        assert all(client.broken == [] for client in clients)
        assert len(statuses) == 8 * 300
        assert set(statuses) == {200, 503}
        assert max(server.seen.values()) == 1
        assert statuses.count(503) == len(server.doomed)
        assert lab.sidecar.total("replays") == 0


@pytest.mark.parametrize("seed", range(3))
def test_connections_closed_at_any_moment(laboratory: Laboratory, seed: int) -> None:
    with Restless(seed) as server:
        lab = laboratory(endpoints=[server.address], workers=2)
        with crowd(lab.sidecar.connect, 8, paths("GET")) as clients:
            pass
        for client in clients:
            assert client.broken == []
            assert {answer.status for answer in client.answers} == {200}
        assert server.dropped > 20
