"""USR2 with TLS and tokens: what secures the proxy before secures it after, and is looked after on."""

import json
import signal
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.papers import Papers, client_context
from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, Proxy, config, until
from tests.proxy.tokens.issuer import Issuer

HELD = b"GET /held HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    folder = tmp_path / "papers"
    folder.mkdir()
    return Papers(folder)


def upgrade(proxy: Proxy) -> None:
    done = proxy.said().count("upgraded to Tulle")
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for("upgraded to Tulle", done + 1)


def secured(backend: Backend, papers: Papers) -> dict[str, Any]:
    certificate, key = papers.issue("web", "DNS:one.example")
    made = config([backend.address])
    made["listeners"][0]["tls"] = {"certificate": certificate, "key": key}
    return made


def connect(proxy: Proxy, papers: Papers) -> ssl.SSLSocket:
    context = client_context(papers.ca)
    context.check_hostname = False
    raw = socket.create_connection(proxy.place("web"), PATIENCE)
    return context.wrap_socket(raw, server_hostname="one.example")


def shown(proxy: Proxy, papers: Papers) -> str:
    """The name in the certificate that a new connection is shown."""
    with connect(proxy, papers) as connection:
        certificate: Any = connection.getpeercert()
        return str(certificate["subjectAltName"][0][1])


def test_certificates_go_on_and_are_watched(start: Start, backend: Backend, papers: Papers) -> None:
    proxy = start(secured(backend, papers)).ready()
    with connect(proxy, papers) as connection:
        connection.sendall(HELD)
        until(lambda: backend.held, "the request reaches the backend")
        upgrade(proxy)
        assert shown(proxy, papers) == "one.example"
        # the old worker has its own session still
        backend.go.set()
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    expires = proxy.admin("/certs")
    assert "one.example" in json.dumps(expires)
    # the new program watches the files as the old one did
    papers.issue("web", "DNS:two.example")
    until(lambda: shown(proxy, papers) == "two.example", f"the new certificate is shown:\n{proxy.said()}")
    upgrade(proxy)
    assert shown(proxy, papers) == "two.example"


def test_a_bad_pair_refuses_the_upgrade_and_nothing_else(
    start: Start, backend: Backend, papers: Papers
) -> None:
    proxy = start(secured(backend, papers)).ready()
    key = Path(papers.issue("other")[1])
    own = papers.folder / "web.key"
    own.write_bytes(key.read_bytes())
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for("upgrade refused; the program that runs goes on")
    assert str(own) in proxy.said()
    assert shown(proxy, papers) == "one.example"


def test_tokens_are_verified_on(start: Start, backend: Backend, tmp_path: Path) -> None:
    issuer = Issuer("ES256")
    keys = tmp_path / "jwks.json"
    keys.write_bytes(issuer.jwks())
    made = config([backend.address])
    made["jwt"] = {"p": {"issuer": "i", "audiences": ["a"], "keys": {"file": str(keys)}}}
    made["listeners"][0]["jwt"] = {"providers": ["p"]}
    proxy = start(made).ready()
    claims = {"iss": "i", "aud": "a", "exp": int(time.time()) + 600}

    def ask(number: int, path: str = "/") -> bytes:
        """A request with a token that nobody has seen before."""
        token = issuer.token({**claims, "jti": str(number)})
        return b"GET %s HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\n\r\n" % (path.encode(), token)

    def answer(number: int) -> bytes:
        with socket.create_connection(proxy.place("web"), PATIENCE) as client:
            client.sendall(ask(number))
            return client.recv(4096)

    assert answer(1).startswith(b"HTTP/1.1 200")
    with socket.create_connection(proxy.place("web"), PATIENCE) as client:
        client.sendall(ask(2, "/held"))
        until(lambda: backend.held, "the request reaches the backend")
        upgrade(proxy)
        assert answer(3).startswith(b"HTTP/1.1 200")
        backend.go.set()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    with socket.create_connection(proxy.place("web"), PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 401")
    until(lambda: len(verifiers(proxy)) == 1, "the former verifier has left")


def verifiers(proxy: Proxy) -> list[int]:
    return [pid for pid in proxy.session() if name_of(pid) == "tulle-verifier"]


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
