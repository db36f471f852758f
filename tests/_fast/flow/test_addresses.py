"""Clients and backends by IPv4, IPv6 and Unix sockets: served alike, and named in head and log."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import PATIENCE, Backend, Peer, request, response
from tests._fast.flow.sidecar import until

REMOTE, BARE, LOCAL, UPSTREAM = (
    "%DOWNSTREAM_REMOTE_ADDRESS%",
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "%DOWNSTREAM_LOCAL_ADDRESS%",
    "%UPSTREAM_HOST%",
)
KINDS = ("IPv4", "IPv6", "Unix", "abstract")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("addresses")


def unix_name(kind: str, folder: Path, name: str) -> str:
    return str(folder / name) if kind == "Unix" else f"\0{folder}/{name}"


def configured(name: str) -> str:
    """A Unix socket as the configuration writes it."""
    return "unix:" + name.replace("\0", "@")


def log(folder: Path, *words: str) -> dict[str, str]:
    return {"path": str(folder / "log"), "format": "text", "format_string": " ".join(words)}


@pytest.fixture
def lab(laboratory: Laboratory, folder: Path) -> Lab:
    """A listener of each kind."""
    addresses = {
        "IPv4": "127.0.0.1:0",
        "IPv6": "[::1]:0",
        "Unix": configured(unix_name("Unix", folder, "web")),
        "abstract": configured(unix_name("abstract", folder, "web")),
    }
    return laboratory(
        listeners=[
            {"name": kind, "address": address, "routes": "main"} for kind, address in addresses.items()
        ],
        access_log=log(folder, REMOTE, BARE, LOCAL),
    )


@pytest.fixture
def connect(lab: Lab, folder: Path) -> Callable[[str], Peer]:
    """A client at the listener of a kind."""

    def client(kind: str) -> Peer:
        if kind in ("IPv4", "IPv6"):
            return lab.client("127.0.0.1" if kind == "IPv4" else "::1")
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(unix_name(kind, folder, "web"))
        return lab.keep(Peer(connection))

    return client


def logged(folder: Path) -> list[str]:
    """The words of the line that comes next; the file is then empty."""
    file = folder / "log"
    until(lambda: file.exists() and file.read_text().endswith("\n"), "a line is logged")
    lines = file.read_text().splitlines()
    os.truncate(file, 0)
    assert len(lines) == 1
    return lines[0].split(" ")


# -- clients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_is_served_and_named(
    lab: Lab, connect: Callable[[str], Peer], folder: Path, kind: str
) -> None:
    client = connect(kind)
    client.send(request())
    upstream = lab.accept()
    seen = upstream.read_request()
    upstream.send(response(b"good"))
    assert client.read_response().body == b"good"
    remote, bare, local = logged(folder)
    if kind in ("IPv4", "IPv6"):
        host, port = client.connection.getsockname()[:2]
        written = f"[{host}]" if kind == "IPv6" else host
        assert (remote, bare) == (f"{written}:{port}", host)
        assert local == f"{written}:{client.connection.getpeername()[1]}"
    else:
        host = "unix"
        assert (remote, bare, local) == (host, host, host)
    assert seen.one(b"x-forwarded-for") == host.encode()


def test_a_unix_client_with_a_name_of_its_own(lab: Lab, folder: Path) -> None:
    """Of any length: there is less room for the address than for the longest."""
    for length in (1, 20, 100):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.bind("\0" + os.urandom(8).hex()[:length].ljust(length, "x"))
            connection.connect(unix_name("Unix", folder, "web"))
            client = Peer(connection)
            client.send(request())
            upstream = lab.accept()
            assert upstream.read_request().one(b"x-forwarded-for") == b"unix"
            upstream.send(response(b"good", b"Connection: close"))
            assert client.read_response().body == b"good"
            assert logged(folder) == ["unix"] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_client_may_do(lab: Lab, connect: Callable[[str], Peer], folder: Path, kind: str) -> None:
    """It pipelines, sends and gets a body that fills every socket on the way, and leaves while it waits."""
    data = os.urandom(1 << 20)
    client = connect(kind)
    client.send(request("GET", "/1"), request("POST", "/2", body=data[:100_000]))
    upstream = lab.accept()
    for path, body in ((b"/1", b""), (b"/2", data[:100_000])):
        seen = upstream.read_request()
        assert (seen.start.split(b" ")[1], seen.body) == (path, body)
        upstream.send(response(path))
        assert client.read_response().body == path
    client.send(request("GET", "/3"))
    upstream.read_request()
    upstream.connection.setblocking(False)
    to_send = memoryview(response(data))
    while to_send:
        try:
            to_send = to_send[upstream.connection.send(to_send) :]
        except BlockingIOError:
            client.fill()
    assert client.read_response().body == data
    upstream.connection.settimeout(PATIENCE)
    client.send(request("GET", "/4"))
    upstream.read_request()
    client.close()
    upstream.expect_end()
    until(lambda: (folder / "log").read_text().count("\n") == 4, "all are logged")
    os.truncate(folder / "log", 0)


# -- backends ------------------------------------------------------------------------------------------


@pytest.fixture(params=KINDS[1:])
def backend(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[Backend, str]]:
    """One of another kind than the lab's own, and its address as the configuration writes it."""
    made = Backend()
    made.close()
    if request.param == "IPv6":
        made.listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        address = f"[::1]:{made.port}"
    else:
        name = unix_name(request.param, folder, "backend")
        Path(name.lstrip("\0")).unlink(missing_ok=True)
        made.listening = socket.socket(socket.AF_UNIX)
        made.listening.bind(name)
        made.listening.listen()
        address = configured(name)
    made.listening.settimeout(PATIENCE)
    yield made, address
    made.close()


def test_a_backend_is_asked_and_named(
    laboratory: Laboratory, backend: tuple[Backend, str], folder: Path
) -> None:
    listening, address = backend
    lab = laboratory(endpoints=[address], access_log=log(folder, UPSTREAM))
    client = lab.client()
    client.send(request())
    upstream = listening.accept()
    for answer in (b"first", b"second"):
        upstream.read_request()
        upstream.send(response(answer))
        assert client.read_response().body == answer
        assert logged(folder) == [address]
        client.send(request())
    upstream.read_request()
    upstream.close()
    fresh = listening.accept()
    fresh.read_request()
    fresh.send(response(b"third"))
    assert client.read_response().body == b"third"
    assert logged(folder) == [address]
    client.send(request())
    fresh.read_request()
    fresh.close()
    again = listening.accept()
    until(lambda: not again.silent(), "the replay has arrived")
    again.close()
    last = listening.accept()
    last.read_request()
    last.send(response(b"fourth", b"Connection: close"))
    assert client.read_response().body == b"fourth"
    assert logged(folder) == [address]
    for peer in (upstream, fresh, again, last):
        peer.close()


def test_without_a_host_of_its_own_a_request_is_for_the_endpoint(
    laboratory: Laboratory, backend: tuple[Backend, str]
) -> None:
    """A Unix socket has no name that a Host field could hold."""
    listening, address = backend
    lab = laboratory(endpoints=[address])
    client = lab.client()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    upstream = listening.accept()
    host = upstream.read_request().one(b"host")
    assert host == (b"localhost" if address.startswith("unix:") else address.encode())
    upstream.send(response())
    assert client.read_response().status == 200
    upstream.close()
