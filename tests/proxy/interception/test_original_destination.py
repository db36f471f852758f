"""A sidecar takes what was meant for others, and finds out for whom: whole machines with real rules."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.interception.namespaces import PATIENCE, Namespace
from tests.proxy.running import Proxy, until
from tests.servers import QuietServer
from tulle.proxy.interception import redirect
from tulle.proxy.interception.rules import Redirection

Machines = tuple[Namespace, Namespace]
APPLICATION = 4711  # the user that it runs as; the sidecar of the tests runs as root
HTTP, REGISTRY, RAW = 15001, 15002, 15003


class Server:
    """Answers with its name, where it was connected to, and the request id that a sidecar has given."""

    def __init__(self, machine: Namespace, name: str, host: str, port: int) -> None:
        listening = machine.listen(host, port)
        listening.settimeout(None)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two segments (RFC 896)

            def do_GET(self) -> None:
                body = f"{name} {'sidecar' if self.headers['x-request-id'] else 'straight'}".encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = QuietServer((host, port), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = listening
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def servers(machines: Machines) -> Iterator[None]:
    here, there = machines
    made = [
        *(Server(there, f"other {port}", host, port) for port in (9000, 9001) for host in ("0.0.0.0", "::")),
        *(Server(here, "application", host, 8080) for host in ("0.0.0.0", "::")),
    ]
    yield
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def sidecar(
    machines: Machines,
    servers: None,
    can_redirect: Callable[[str], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    can_redirect("nft")
    here, there = machines
    listeners = [
        {"name": f"{name}{version}", "address": f"{host}:{port}", "original_destination": True, **more}
        for version, own, every in ((4, "127.0.0.1", "0.0.0.0"), (6, "[::1]", "[::]"))
        for name, host, port, more in (
            ("inbound", every, 15006, {}),
            ("http", own, HTTP, {"routes": "mesh"}),
            ("registry", own, REGISTRY, {"routes": "known", "outbound": "registry_only"}),
            ("raw", own, RAW, {"protocol": "tcp"}),
        )
    ]
    known = [
        {
            "name": "address",
            "destinations": ["10.96.0.7:80", "[fd96::7]:80"],
            "backends": [{"cluster": "shop"}],
        },
        {"name": "host", "hostnames": ["cart.example"], "backends": [{"cluster": "cart"}]},
    ]
    configuration = {
        "workers": 2,
        "admin": {"address": "127.0.0.1:0"},
        "listeners": listeners,
        "routes": {"mesh": known, "known": known},
        "clusters": {
            "shop": {"endpoints": [{"address": f"{there.ipv4}:9000"}]},
            "cart": {"endpoints": [{"address": f"{there.ipv4}:9001"}]},
        },
        "access_log": {"format": "json"},
    }
    folder: Path = tmp_path_factory.mktemp("sidecar")
    proxy = Proxy(folder, configuration, before=here.enter)
    try:
        yield proxy.ready()
    finally:
        proxy.end()


@pytest.fixture
def send_to(sidecar: Proxy, machines: Machines) -> Iterator[Callable[[int], None]]:
    """Which of its ports outbound traffic goes to."""
    here, _ = machines

    def choose(port: int) -> None:
        with here.inside():
            redirect.apply(Redirection(users=(0,), outbound_port=port), "nft")

    yield choose
    with here.inside():
        redirect.remove("nft")


def addresses(machine: Namespace, version: int) -> str:
    return machine.ipv4 if version == 4 else machine.ipv6


def ask(
    machine: Namespace, host: str, port: int, name: str = "any.example", user: int = APPLICATION
) -> tuple[int, str]:
    """A request on a connection of its own."""
    client = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    client.sock = machine.connect(host, port, user)
    with closing(client):
        client.request("GET", "/", headers={"host": name})
        answer = client.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("version", [4, 6])
def test_what_no_route_takes_goes_to_where_it_was_meant_for(
    machines: Machines, send_to: Callable[[int], None], version: int
) -> None:
    here, there = machines
    send_to(HTTP)
    for _ in range(3):  # connections to both are kept, and never mixed up
        for port in (9000, 9001):
            assert ask(here, addresses(there, version), port) == (200, f"other {port} sidecar")
    assert ask(here, addresses(there, version), 9000, user=0) == (200, "other 9000 straight")


def test_a_client_that_changes_its_mind_gets_each_time_what_it_asked_for(
    machines: Machines, send_to: Callable[[int], None]
) -> None:
    here, there = machines
    send_to(HTTP)
    clients = []
    for port in (9000, 9001) * 4:
        client = http.client.HTTPConnection(there.ipv4, port, timeout=PATIENCE)
        client.sock = here.connect(there.ipv4, port, APPLICATION)
        clients.append((port, client))
    for _ in range(4):
        for port, client in clients:
            client.request("GET", "/", headers={"host": "any.example"})
            assert client.getresponse().read().decode() == f"other {port} sidecar"
    for _, client in clients:
        client.close()


@pytest.mark.parametrize(("version", "virtual"), [(4, "10.96.0.7"), (6, "fd96::7")])
@pytest.mark.parametrize("port", [HTTP, REGISTRY])
def test_a_service_is_known_by_its_address_and_else_by_host(
    machines: Machines, send_to: Callable[[int], None], version: int, virtual: str, port: int
) -> None:
    here, there = machines
    default(here, version)
    send_to(port)
    assert ask(here, virtual, 80) == (200, "other 9000 sidecar")
    assert ask(here, virtual, 80, "cart.example") == (200, "other 9000 sidecar")  # the address comes first
    assert ask(here, addresses(there, version), 1, "cart.example") == (200, "other 9001 sidecar")


def default(machine: Namespace, version: int) -> None:
    """A way to addresses that nobody has."""
    import subprocess

    other = "10.77.0.2" if version == 4 else "fd77::2"
    with machine.inside():
        subprocess.run(
            ["ip", f"-{version}", "route", "replace", "default", "via", other],
            check=True,
            env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"},
        )


@pytest.mark.parametrize("version", [4, 6])
def test_registry_only_refuses_what_it_does_not_know(
    machines: Machines, send_to: Callable[[int], None], version: int
) -> None:
    here, there = machines
    send_to(REGISTRY)
    assert ask(here, addresses(there, version), 9000)[0] == 404


@pytest.mark.parametrize("version", [4, 6])
def test_inbound_goes_to_the_application_at_its_own_port(
    machines: Machines, send_to: Callable[[int], None], version: int
) -> None:
    here, there = machines
    send_to(HTTP)
    assert ask(there, addresses(here, version), 8080) == (200, "application sidecar")
    status, reason = ask(there, addresses(here, version), 8081)
    assert status == 503
    assert "upstream" in reason


@pytest.mark.parametrize("version", [4, 6])
def test_who_connects_to_the_sidecar_itself_is_refused_and_it_never_calls_itself(
    machines: Machines, sidecar: Proxy, send_to: Callable[[int], None], version: int
) -> None:
    here, there = machines
    send_to(HTTP)
    status, reason = ask(there, addresses(here, version), 15006)
    assert status == 503
    assert "not redirected" in reason
    loopback = "127.0.0.1" if version == 4 else "::1"
    assert ask(here, loopback, HTTP)[0] == 503
    assert ask(here, loopback, HTTP, "cart.example") == (200, "other 9001 sidecar")
    # From elsewhere to the port for outbound: taken in, passed on to itself, refused there
    assert ask(there, addresses(here, version), HTTP)[0] == 503
    with pytest.raises(ConnectionResetError), here.connect(loopback, RAW, APPLICATION) as client:
        client.recv(1)


@pytest.mark.parametrize("version", [4, 6])
def test_raw_bytes_go_through_whoever_speaks_first(
    machines: Machines, send_to: Callable[[int], None], version: int
) -> None:
    here, there = machines
    host = addresses(there, version)
    send_to(RAW)
    with closing(there.listen(host, 9100)) as listening, here.connect(host, 9100, APPLICATION) as client:
        with closing(listening.accept()[0]) as server:
            server.sendall(b"hello")
            assert client.recv(5, socket.MSG_WAITALL) == b"hello"
            client.sendall(b"and you")
            client.shutdown(socket.SHUT_WR)
            assert server.recv(7, socket.MSG_WAITALL) == b"and you"
            assert server.recv(1) == b""
            server.sendall(b"bye")
        assert client.recv(3, socket.MSG_WAITALL) == b"bye"
        assert client.recv(1) == b""


def test_many_destinations_leave_nothing_behind_and_show_as_themselves(
    machines: Machines, sidecar: Proxy, send_to: Callable[[int], None]
) -> None:
    here, there = machines
    send_to(HTTP)
    for port in range(20000, 20150):
        assert ask(here, there.ipv4, port)[0] == 503
    assert ask(here, there.ipv4, 9000) == (200, "other 9000 sidecar")
    until(lambda: f'"upstream_host":"{there.ipv4}:9000"' in sidecar.output.read_text(), "its line in the log")
    with here.inside():
        clusters = sidecar.admin("/clusters")
    assert "passthrough" in str(clusters)
