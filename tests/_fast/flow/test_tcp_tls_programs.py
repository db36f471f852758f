"""Raw TCP over TLS with programs of others as the peers: openssl, and HAProxy on both sides."""

import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import CLIENT_ID, SERVER_ID, Papers
from tests._fast.flow.peers import PATIENCE, Backend, Peer
from tests._fast.flow.sidecar import until
from tests.programs import haproxy

Program = Callable[[str], str]


@pytest.fixture(scope="module")
def issued(papers: Papers) -> Papers:
    names = {"stock": "DNS:stock.example", "cart": f"URI:{CLIENT_ID}", "backend": f"URI:{SERVER_ID}"}
    for name, of_whom in names.items():
        certificate, key = papers.issue(name, of_whom)
        (papers.folder / f"{name}.pem").write_text(Path(certificate).read_text() + Path(key).read_text())
    return papers


def inward(papers: Papers) -> dict[str, Any]:
    folder = papers.folder
    own = {"certificate": str(folder / "stock.crt"), "key": str(folder / "stock.key")}
    return {"protocol": "tcp", "tls": own | {"client_ca": papers.ca}}


def outward(papers: Papers) -> dict[str, Any]:
    folder = papers.folder
    own = {"certificate": str(folder / "cart.crt"), "key": str(folder / "cart.key")}
    return {"tls": own | {"ca": papers.ca, "verify": {"uri": [SERVER_ID]}}}


def identity(papers: Papers, name: str) -> list[str]:
    folder = papers.folder
    return ["-CAfile", papers.ca, "-cert", str(folder / f"{name}.crt"), "-key", str(folder / f"{name}.key")]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_as_the_client(
    laboratory: Laboratory, issued: Papers, program: Program, version: str
) -> None:
    lab = laboratory(listener=inward(issued))
    command = [
        program("openssl"), "s_client", "-quiet", "-no_ign_eof", "-verify_return_error", version,
        "-connect", f"127.0.0.1:{lab.sidecar.ports['127.0.0.1']}",
        "-servername", "stock.example", "-verify_hostname", "stock.example", *identity(issued, "cart"),
    ]  # fmt: skip
    client = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert client.stdin is not None
    assert client.stdout is not None
    upstream = lab.accept()
    upstream.send(b"220 ready\n")
    assert client.stdout.readline() == b"220 ready\n"
    client.stdin.write(b"hello\n")
    client.stdin.close()
    assert upstream.read_rest() == b"hello\n"
    upstream.close()
    assert client.wait(PATIENCE) == 0
    client.stdout.close()
    until(lambda: lab.sidecar.total("tunnels_active") == 0, "it is over")
    assert lab.sidecar.flags() == {}


def test_openssl_as_the_server(laboratory: Laboratory, issued: Papers, program: Program) -> None:
    command = [
        program("openssl"), "s_server", "-naccept", "1", "-accept", "127.0.0.1:0",
        "-Verify", "1", "-verify_return_error", *identity(issued, "backend"),
    ]  # fmt: skip
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdin is not None
    assert server.stdout is not None
    said = iter(server.stdout.readline, b"")
    address = next(line for line in said if line.startswith(b"ACCEPT ")).split()[1].decode()
    lab = laboratory(endpoints=[address], listener={"protocol": "tcp"}, cluster=outward(issued))
    client = lab.client()
    client.send(b"hello\n")
    assert b"hello\n" in said
    server.stdin.write(b"and hello to you\n")
    server.stdin.flush()
    assert client.read_until(b"\n") == b"and hello to you\n"
    client.half_close()
    client.expect_gone()
    assert server.wait(PATIENCE) == 0
    server.stdin.close()
    server.stdout.close()


BETWEEN = """
    default_backend tulle
backend tulle
    default-server ssl verify required verifyhost stock.example ca-file {ca} crt {folder}/cart.pem
    server t 127.0.0.1:{port}
"""
BEHIND = """ ssl crt {folder}/backend.pem ca-file {ca} verify required
    default_backend app
backend app
    server a {address}
"""


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_haproxy_on_both_sides(
    laboratory: Laboratory, issued: Papers, program: Program, tmp_path: Path, first: str
) -> None:
    """Client, HAProxy, TLS, the sidecar, TLS, HAProxy, backend: each half-close gets through all of it."""
    for name in ("before", "behind"):
        (tmp_path / name).mkdir()
    names = {"folder": issued.folder, "ca": issued.ca}
    with closing(Backend()) as backend:
        behind = BEHIND.format(address=backend.address, **names)
        with haproxy(program("haproxy"), tmp_path / "behind", "tcp", behind) as (_, inner):
            lab = laboratory(
                endpoints=[f"127.0.0.1:{inner}"], listener=inward(issued), cluster=outward(issued)
            )
            between = BETWEEN.format(port=lab.sidecar.ports["127.0.0.1"], **names)
            with haproxy(program("haproxy"), tmp_path / "before", "tcp", between) as place:
                through(lab, backend, place, first)
                lab.tidy()


def through(lab: Lab, backend: Backend, place: tuple[str, int], first: str) -> None:
    client = lab.keep(Peer(socket.create_connection(place, PATIENCE)))
    client.send(b"hello")
    upstream = lab.keep(backend.accept())
    assert upstream.read(5) == b"hello"
    one, other = (client, upstream) if first == "client" else (upstream, client)
    one.half_close()
    assert other.read_rest() == b""
    data = bytes(range(256)) * 400
    other.send(data)
    assert one.read(len(data)) == data
    other.close()
    one.expect_end()
    assert lab.sidecar.flags() == {}
