"""HTTP checks over TLS: by the same rules as requests, so that who is well is also who they say they are."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.papers import CLIENT_ID, DAY, SERVER_ID, Papers, server_context
from tests.proxy.conftest import Start
from tests.proxy.health.endpoints import checked, wait_for
from tests.proxy.running import Backend, Proxy, until
from tulle.controlplane.table import TlsRow
from tulle.proxy.health.secure import covers, is_expected


class SecureBackend(Backend):
    """Answers over TLS, by a context that may be replaced."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.context = context
        self.names: list[str | None] = []  # that clients have asked for
        self.server.process_request_thread = self._secure  # type: ignore[method-assign]

    def _secure(self, request: Any, address: Any) -> None:
        try:
            self.context.sni_callback = lambda session, name, context: self.names.append(name)
            request.settimeout(10)
            secured = self.context.wrap_socket(request, server_side=True)
        except OSError:
            request.close()
            return
        type(self.server).process_request_thread(self.server, secured, address)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def secured(papers: Papers) -> Iterator[SecureBackend]:
    pair = papers.issue("stock", f"URI:{SERVER_ID}", "DNS:stock.example")
    backend = SecureBackend(server_context(pair, papers.ca))
    yield backend
    backend.close()


def proxy_of(start: Start, papers: Papers, address: str, **tls: Any) -> Proxy:
    certificate, key = papers.issue("cart", f"URI:{CLIENT_ID}")
    rules = {"ca": papers.ca, "certificate": certificate, "key": key, "verify": {"uri": [SERVER_ID]}, **tls}
    return start(checked([address], {"http": {}, "reuse_connection": False}, tls=rules)).ready()


def test_a_check_is_who_it_says_and_so_is_the_endpoint(
    start: Start, papers: Papers, secured: SecureBackend
) -> None:
    proxy = proxy_of(start, papers, secured.address, sni="stock.example")
    wait_for(proxy, secured.address, "healthy")
    until(lambda: "stock.example" in secured.names, "it is asked for by its name")
    assert proxy.get() == (200, b"backend")
    # another certificate: the next check finds it
    secured.context = server_context(papers.issue("other", "DNS:stock.example"), papers.ca)
    found = wait_for(proxy, secured.address, "unhealthy")
    assert found["last_check_failure"] == "its certificate is not for the name that is expected"
    secured.context = server_context(papers.issue("stock", f"URI:{SERVER_ID}"), papers.ca)
    wait_for(proxy, secured.address, "healthy")


def test_an_endpoint_that_cannot_be_believed(start: Start, papers: Papers, tmp_path: Path) -> None:
    other = Papers(tmp_path, "other")
    expired = papers.issue("expired", f"URI:{SERVER_ID}", begins=-2 * DAY, ends=-DAY)
    stranger = other.issue("stranger", f"URI:{SERVER_ID}")
    for pair in (expired, stranger):
        backend = SecureBackend(server_context(pair, papers.ca))
        try:
            proxy = proxy_of(start, papers, backend.address)
            found = wait_for(proxy, backend.address, "unhealthy")
            assert found["last_check_failure"] == "there is no TLS with it: the handshake failed"
        finally:
            backend.close()


def test_an_endpoint_in_the_clear_is_not_well(start: Start, papers: Papers, backend: Backend) -> None:
    proxy = proxy_of(start, papers, backend.address)
    found = wait_for(proxy, backend.address, "unhealthy")
    assert found["last_check_failure"] == "there is no TLS with it: the handshake failed"


def test_files_that_are_replaced_are_read_again(start: Start, papers: Papers, secured: SecureBackend) -> None:
    proxy = proxy_of(start, papers, secured.address)
    wait_for(proxy, secured.address, "healthy")
    # the server believes another root from now on, and then the client shows a certificate of that one
    renewed = Papers(papers.folder, "renewed")
    secured.context = server_context(papers.issue("stock", f"URI:{SERVER_ID}"), renewed.ca)
    wait_for(proxy, secured.address, "unhealthy")
    renewed.issue("cart", f"URI:{CLIENT_ID}")
    wait_for(proxy, secured.address, "healthy")


def row(**more: Any) -> TlsRow:
    rules: dict[str, Any] = {
        "role": "client",
        "certificates": (),
        "ca": "",
        "require": True,
        "min_version": "1.2",
        "ciphers": "",
        "suites": "",
        "alpn": ("http/1.1",),
    }
    return TlsRow(**rules | more)


def test_names() -> None:
    names = {"subjectAltName": (("DNS", "*.A.example"), ("URI", SERVER_ID), ("IP Address", "10.0.0.1"))}
    for rules, expected in (
        ({"dns": ("b.a.example",)}, True),
        ({"dns": ("a.example",)}, False),
        ({"dns": ("c.b.a.example",)}, False),
        ({"dns": (SERVER_ID,)}, False),
        ({"uri": (SERVER_ID,)}, True),
        ({"uri": ("*.a.example", SERVER_ID + "/x")}, False),
        ({}, False),
    ):
        assert is_expected(row(**rules), names) is expected, rules
    assert not is_expected(row(dns=("cn",)), {})
    assert not covers("*.com", "a.com")
    assert not covers("", "")
