"""A sidecar between a test's own clients and its own backend, and what must hold after every test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests._fast.flow.peers import Backend, Message, Peer
from tests._fast.flow.sidecar import Sidecar, until

Section = dict[str, Any]


def make_config(
    endpoints: list[str],
    *,
    workers: int = 1,
    listener: Section | None = None,
    route: Section | None = None,
    cluster: Section | None = None,
    routes: list[Section] | None = None,
    more_clusters: dict[str, Section] | None = None,
    more_listeners: list[Section] | None = None,
    **top: Any,
) -> Section:
    """One listener, one route to one cluster, with these sections changed; `routes` come before the route."""
    return {
        "workers": workers,
        "listeners": [
            {"name": "web", "address": "127.0.0.1:0", "routes": "main"} | (listener or {}),
            *(more_listeners or []),
        ],
        "routes": {
            "main": [*(routes or []), {"name": "all", "backends": [{"cluster": "c"}]} | (route or {})]
        },
        "clusters": {
            "c": {"endpoints": [{"address": address} for address in endpoints]} | (cluster or {}),
            **(more_clusters or {}),
        },
        **top,
    }


class Lab:
    """One sidecar and one backend; the peers of a test are closed when it is over."""

    def __init__(self, folder: Path, open_files: int | None = None, **sections: Any) -> None:
        self.backend = Backend()
        self.config = make_config(sections.pop("endpoints", [self.backend.address]), **sections)
        self.sidecar = Sidecar(self.config, folder, open_files)
        self.peers: list[Peer] = []
        self.deaths = 0  # of workers, that tests have brought about

    def client(self, host: str = "127.0.0.1", source: str = "") -> Peer:
        return self.keep(Peer(self.sidecar.connect(host, source)))

    def turned_away(self, host: str = "127.0.0.1", source: str = "") -> bool:
        """Whether a connection ends without a byte, which may be before it is known to have begun."""
        try:
            return self.client(host, source).expect_gone() == b""
        except ConnectionResetError:
            return True

    def accept(self) -> Peer:
        """The next connection that the sidecar opens to the backend."""
        return self.keep(self.backend.accept())

    def keep(self, peer: Peer) -> Peer:
        """It is closed when the test is over."""
        self.peers.append(peer)
        return peer

    def exchange(self, sent: bytes, answer: bytes, method: str = "GET") -> tuple[Message, Message]:
        """One request and its answer on connections of their own: what backend and client got."""
        client = self.client()
        client.send(sent)
        upstream = self.accept()
        seen = upstream.read_request()
        upstream.send(answer)
        got = client.read_response(method)
        client.close()
        upstream.close()
        return seen, got

    def deliver(self, peer: Peer, piece: bytes, figure: str = "bytes_downstream_received") -> None:
        """Send a piece and wait until the sidecar has read it, so that the next one comes by itself."""
        before = self.sidecar.total(figure)
        peer.send(piece)
        until(lambda: self.sidecar.total(figure) >= before + len(piece), f"{piece!r} is read")

    def expect_death(self) -> None:
        """A worker has been killed: wait for the one that takes its place."""
        self.deaths += 1
        until(lambda: len(self.sidecar.workers()) == self.config["workers"], "another worker is ready")

    def left(self) -> int:
        """The exit status of the sidecar, once it has left."""
        return self.sidecar.process.wait(20)

    def tidy(self) -> None:
        """After every test: all that was occupied is free, and no worker has died."""
        for peer in self.peers:
            peer.close()
        self.peers.clear()
        while self.backend.waiting():
            self.backend.accept().close()
        self.sidecar.wait_quiet()
        until(lambda: self.sidecar.words().count("was ended by") >= self.deaths, "all deaths are told")
        assert self.sidecar.words().count("was ended by") == self.deaths, self.sidecar.words()

    def close(self) -> None:
        self.backend.close()
        self.sidecar.stop()


@contextmanager
def own_lab(folder: Path, **sections: Any) -> Iterator[Lab]:
    """A sidecar for one test, which may end it."""
    lab = Lab(folder, **sections)
    try:
        yield lab
    finally:
        for peer in lab.peers:
            peer.close()
        lab.close()
