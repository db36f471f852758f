"""Active health checks with real proxies and endpoints that are well, ill, silent and rude."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.conftest import Start
from tests.proxy.health.endpoints import Endpoint, checked, health, wait_for
from tests.proxy.running import Backend, Proxy, config, until


class Rude(Endpoint):
    """Sends to every connection what `says` gives, and closes it; None: sends nothing, keeps it open."""

    def __init__(self, says: bytes | None) -> None:
        self.says = says
        self.asked: list[bytes] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        if self.says is not None:
            self.asked.append(connection.recv(65536))
            connection.sendall(self.says)
            connection.close()


@pytest.fixture
def rude() -> Iterator[Callable[[bytes | None], Rude]]:
    made: list[Rude] = []

    def begin(says: bytes | None) -> Rude:
        made.append(Rude(says))
        return made[-1]

    yield begin
    for each in made:
        each.close()


@contextmanager
def second() -> Iterator[Backend]:
    backend = Backend("second")
    try:
        yield backend
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 204 Fine\r\n\r\n", "status 204"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the answer is not HTTP"),
        (b"", "the connection was closed before the answer"),
        (b"HTTP/1.1 20", "the connection was closed before the answer"),
        (None, "no answer in time"),
    ],
)
def test_a_bad_endpoint_gets_no_requests(
    start: Start, backend: Backend, rude: Callable[[bytes | None], Rude], says: bytes | None, reason: str
) -> None:
    bad = rude(says)
    proxy = start(checked([backend.address, bad.address])).ready()
    found = wait_for(proxy, bad.address, "unhealthy")
    assert found["last_check_failure"] == reason
    assert found["healthy"] == 0
    assert f"{bad.address} (cluster v1) is unhealthy: {reason}" in proxy.said()
    assert [proxy.get() for _ in range(20)] == [(200, b"backend")] * 20
    assert health(proxy, backend.address)["health"] == "healthy"
    metrics = proxy.get("/metrics", "admin")[1].decode()
    assert f'tulle_endpoint_healthy{{cluster="v1",endpoint="{bad.address}"}} 0.0' in metrics
    assert 'tulle_health_checks_total{cluster="v1",outcome="failure"}' in metrics


@pytest.mark.parametrize("check", [{"http": {}}, {"tcp": {}}])
def test_an_endpoint_that_leaves_and_returns(start: Start, backend: Backend, check: dict[str, Any]) -> None:
    with second() as other:
        proxy = start(checked([backend.address, other.address], check)).ready()
        until(lambda: proxy.get()[1] == b"second", "both serve")
        port = other.server.server_address[1]
        other.close()
        found = wait_for(proxy, other.address, "unhealthy")
        assert found["last_check_failure"] == "connection refused"
        assert [proxy.get() for _ in range(10)] == [(200, b"backend")] * 10
        back = socket.create_server(("127.0.0.1", port), reuse_port=False)
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nback"

        def serve() -> None:
            while True:
                try:
                    connection, _ = back.accept()
                except OSError:
                    return
                connection.recv(65536)
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        wait_for(proxy, other.address, "healthy")
        assert f"{other.address} (cluster v1) is healthy" in proxy.said()
        # on a connection that a worker had kept, it is still the former server that answers
        until(lambda: proxy.get()[1] in (b"back", b"second"), "it serves again")
        back.shutdown(socket.SHUT_RDWR)
        back.close()


def test_what_is_asked(start: Start, backend: Backend, rude: Callable[[bytes | None], Rude]) -> None:
    asked = rude(b"HTTP/1.1 301 Moved\r\ncontent-length: 0\r\n\r\n")
    http = {
        "path": "/healthz",
        "host": "shop.test",
        "method": "HEAD",
        "headers": {"x-a": "b"},
        "expected_statuses": ["200", "300-399"],
    }
    proxy = start(checked([asked.address], {"http": http})).ready()
    until(lambda: len(asked.asked) > 3, "it is asked")
    head = asked.asked[0].split(b"\r\n")
    assert head[0] == b"HEAD /healthz HTTP/1.1"
    assert {b"host: shop.test", b"x-a: b"} <= {line.lower() for line in head}
    assert health(proxy, asked.address)["health"] == "healthy"


def test_another_port_and_an_initial_state(
    start: Start, backend: Backend, rude: Callable[[bytes | None], Rude]
) -> None:
    silent = rude(None)
    port = int(silent.address.rpartition(":")[2])
    check = {"http": {}, "port": port, "initial": "unhealthy", "timeout": "20s"}
    proxy = start(checked([backend.address], check)).ready()
    wait_for(proxy, backend.address, "unhealthy")
    assert proxy.get()[0] == 503


def test_a_reload_keeps_what_is_known_and_one_without_checks_forgets_it(
    start: Start, backend: Backend, rude: Callable[[bytes | None], Rude]
) -> None:
    bad = rude(b"")
    proxy = start(checked([backend.address, bad.address])).ready()
    wait_for(proxy, bad.address, "unhealthy")
    slow = {"http": {}, "interval": "1h"}
    proxy.reload(checked([bad.address, backend.address], slow))
    assert [proxy.get() for _ in range(10)] == [(200, b"backend")] * 10
    assert health(proxy, bad.address)["health"] == "unhealthy"
    proxy.reload(config([bad.address, backend.address]))
    wait_for(proxy, bad.address, "healthy")


def test_an_upgrade_keeps_what_is_known(
    start: Start, backend: Backend, rude: Callable[[bytes | None], Rude]
) -> None:
    bad = rude(b"")
    proxy = start(checked([backend.address, bad.address])).ready()
    since = wait_for(proxy, bad.address, "unhealthy")["health_since"]
    proxy.signal(signal.SIGUSR2)
    proxy.wait_for("upgraded to")
    assert health(proxy, bad.address)["health_since"] == since
    checks = proxy.admin("/clusters")["v1"]["checks_failed"]
    until(lambda: proxy.admin("/clusters")["v1"]["checks_failed"] > checks, "it is checked on")


def name_of(pid: int) -> str:
    """Empty when it has just gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def checkers(proxy: Proxy) -> list[int]:
    return [pid for pid in proxy.session() if name_of(pid) == "tulle-health"]


def test_the_checker_is_a_process_like_others(start: Start, backend: Backend) -> None:
    proxy = start(checked([backend.address])).ready()
    (pid,) = until(lambda: checkers(proxy), "there is one")
    until(lambda: proxy.admin("/server_info")["health_checks"] == {"pid": pid}, "it is known")
    assert proxy.admin("/memory")["processes"]["health"]["Rss"] > 1 << 20
    proxy.reload(config([backend.address]))
    assert proxy.admin("/server_info")["health_checks"] == {"pid": None}
    assert "health" not in proxy.admin("/memory")["processes"]


def test_a_checker_that_dies_is_replaced(start: Start, backend: Backend) -> None:
    proxy = start(checked([backend.address])).ready()
    (pid,) = until(lambda: checkers(proxy), "there is one")
    os.kill(pid, signal.SIGKILL)
    until(lambda: [other for other in checkers(proxy) if other != pid], "another has begun")
    proxy.signal(signal.SIGTERM)
    assert proxy.ended() == 0
    assert proxy.gone()


def test_there_is_no_checker_without_checks(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    assert checkers(proxy) == []
