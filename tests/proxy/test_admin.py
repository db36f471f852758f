"""The admin server: pages, forms, bounds."""

import json
import re
import socket
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, Proxy, config, until

GETS = (
    "/", "/ready", "/stats", "/stats/prometheus", "/metrics", "/clusters", "/listeners", "/routes",
    "/config_dump", "/server_info", "/certs", "/memory",
)  # fmt: skip
POSTS = ("/drain_listeners", "/quitquitquit", "/logging")


@pytest.fixture
def proxy(start: Start, backend: Backend) -> Proxy:
    running: Proxy = start(config([backend.address]))
    return running.ready()


def talk(proxy: Proxy, sent: bytes) -> bytes:
    """All that the admin server answers to these bytes, up to its close."""
    with socket.create_connection(proxy.place("admin"), PATIENCE) as client:
        client.sendall(sent)
        received = b""
        while data := client.recv(65536):
            received += data
        return received


def test_every_page_answers_in_both_forms(proxy: Proxy) -> None:
    for path in GETS:
        status, text = proxy.get(path, "admin")
        assert status == 200, text
        assert text.endswith(b"\n")
        status, body = proxy.get(f"{path}?format=json", "admin")
        assert status == 200
        if path not in ("/ready", "/metrics", "/stats/prometheus"):
            assert isinstance(json.loads(body), dict)
        assert proxy.get(path, "admin", "HEAD") == (200, b"")


def test_only_a_post_changes_anything(proxy: Proxy) -> None:
    for path in POSTS:
        answer = talk(proxy, f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed")
        assert b"allow: POST" in answer
    assert proxy.get("/stats", "admin", "POST")[0] == 405
    assert proxy.get("/ready", "admin") == (200, b"LIVE\n")


def test_an_unknown_page_lists_those_that_there_are(proxy: Proxy) -> None:
    status, body = proxy.get("/nothing", "admin")
    assert status == 404
    for path in (*GETS, *POSTS):
        assert f" {path} ".encode() in body


def test_an_unknown_form_is_refused(proxy: Proxy) -> None:
    assert proxy.get("/stats?format=xml", "admin")[0] == 400


def test_connections_are_kept_and_pipelined_requests_answered(proxy: Proxy) -> None:
    request = b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n"
    last = b"POST /logging?level=info HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nconnection: close\r\n\r\na"
    answer = talk(proxy, request * 3 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.count(b"LIVE") == 3


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /ready HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /ready HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 40_000 + b"\r\n\r\n", b"431"),
        (b"POST /logging HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + b"a" * 100_000, b"413"),
    ],
)
def test_what_is_malformed_or_too_large_is_refused(proxy: Proxy, sent: bytes, status: bytes) -> None:
    assert talk(proxy, sent).startswith(b"HTTP/1.1 " + status)
    assert proxy.get("/ready", "admin") == (200, b"LIVE\n")


def test_too_many_connections_are_closed(proxy: Proxy) -> None:
    clients = [socket.create_connection(proxy.place("admin"), PATIENCE) for _ in range(64)]
    for client in clients:
        client.sendall(b"GET /ready HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"LIVE" in client.recv(4096)
    with socket.create_connection(proxy.place("admin"), PATIENCE) as client:
        assert client.recv(4096) == b""
    for client in clients:
        client.close()
    until(lambda: _alive(proxy), "there is room again")


def _alive(proxy: Proxy) -> bool:
    try:
        return proxy.get("/ready", "admin") == (200, b"LIVE\n")
    except OSError:
        return False


def refuses(proxy: Proxy) -> bool:
    try:
        proxy.get()
    except ConnectionRefusedError:
        return True
    return False


def test_ready_says_why_not(proxy: Proxy) -> None:
    assert proxy.get("/drain_listeners", "admin", "POST")[0] == 200
    assert proxy.get("/ready", "admin") == (503, b"DRAINING\n")
    until(lambda: refuses(proxy), "the listener is closed")
    assert proxy.process.poll() is None
    assert proxy.get("/quitquitquit", "admin", "POST")[0] == 200
    assert proxy.ended() == 0


def test_what_is_said_can_be_made_less(proxy: Proxy) -> None:
    assert proxy.get("/logging?level=loud", "admin", "POST")[0] == 400
    assert proxy.get("/logging?level=error", "admin", "POST") == (200, b"level: error\n")
    before = proxy.said()
    proxy.get("/quitquitquit", "admin", "POST")
    assert proxy.ended() == 0
    assert proxy.said() == before


def test_stats_count_what_happened(proxy: Proxy) -> None:
    for _ in range(3):
        proxy.get()
    until(lambda: proxy.admin("/stats")["requests"]["total"] == 3, "all are counted")
    stats = proxy.admin("/stats")
    named = (stats["listeners"]["web"], stats["routes"]["web all"], stats["clusters"]["v1"])
    for part in (stats["requests"], *named):
        assert part["classes"]["2xx"] == 3
    assert stats["listeners"]["web"]["duration_p50_us"] > 0
    assert stats["connections"]["downstream_total"] == 3
    cluster = proxy.admin("/clusters")["v1"]
    assert cluster["limits"]["max_connections"] == 1024
    ((address, endpoint),) = cluster["endpoints"].items()
    assert address.startswith("127.0.0.1:")
    assert (endpoint["requests_total"], endpoint["responses_2xx"], endpoint["healthy"]) == (3, 3, 1)
    assert proxy.admin("/listeners")["web"]["address"] == ":".join(map(str, proxy.place("web")))
    assert proxy.admin("/routes")["main"][0]["backends"] == [{"cluster": "v1", "weight": 1}]
    assert proxy.admin("/config_dump")["config"]["clusters"][0]["name"] == "v1"


def test_memory_is_that_of_all_processes(proxy: Proxy) -> None:
    memory = proxy.admin("/memory")
    assert set(memory["processes"]) == {"master", "spawner", "worker 0"}
    assert memory["Pss"] == sum(parts["Pss"] for parts in memory["processes"].values())
    assert all(parts["Rss"] > 1 << 20 for parts in memory["processes"].values())


def metrics(proxy: Proxy) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, by name and labels."""
    status, text = proxy.get("/metrics", "admin")
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def test_grpc_calls_are_counted_by_what_a_route_names(start: Start) -> None:
    made = config(["127.0.0.1:1"])
    named = {"name": "add", "matches": [{"grpc": {"service": "shop.Cart", "method": "Add"}}]}
    made["routes"]["main"].insert(0, named | {"backends": [{"cluster": "v1"}]})
    proxy = start(made).ready()
    for path in ("/shop.Cart/Add", "/shop.Cart/Add", "/shop.Cart/Remove"):
        with socket.create_connection(proxy.place("web"), PATIENCE) as client:
            head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n"
            client.sendall(f"{head}content-type: application/grpc\r\n\r\n".encode())
            assert b"grpc-status: 14\r\n" in client.recv(65536)

    def counted() -> dict[tuple[str, ...], float]:
        return {
            tuple(value for key, value in labels if key not in ("listener", "cluster")): value
            for (name, labels), value in metrics(proxy).items()
            if name == "tulle_grpc_requests_total"
        }

    wanted = {("Add", "shop.Cart", "UNAVAILABLE", "add"): 2.0, ("", "", "UNAVAILABLE", "all"): 1.0}
    until(lambda: counted() == wanted, "all are counted")


def test_metrics_have_their_names_labels_and_values(proxy: Proxy) -> None:
    proxy.get()
    until(lambda: proxy.admin("/stats")["requests"]["total"] == 1, "it is counted")
    found = metrics(proxy)
    series = {"listener": "web", "route": "all", "cluster": "v1"}
    assert value(found, "tulle_requests_total", **series, code="2xx") == 1
    for name in ("tulle_request_duration_seconds", "tulle_upstream_duration_seconds"):
        assert value(found, f"{name}_count", **series) == 1
        assert value(found, f"{name}_bucket", **series, le="+Inf") == 1
        assert 0 < value(found, f"{name}_sum", **series) < PATIENCE
        bounds = [labels for found_name, labels in found if found_name == f"{name}_bucket"]
        assert 15 <= len(bounds) <= 25
    assert value(found, "tulle_bytes_total", direction="downstream_sent") > 0
    assert value(found, "tulle_connections_active", side="downstream") == 0
    assert value(found, "tulle_upstream_requests_active", cluster="v1") == 0
    assert value(found, "tulle_upstream_requests_pending", cluster="v1") == 0
    assert value(found, "tulle_circuit_breaker_overflow_total", cluster="v1", limit="connections") == 0
    assert value(found, "tulle_retries_total", cluster="v1", outcome="success") == 0
    endpoint = next(iter(proxy.admin("/clusters")["v1"]["endpoints"]))
    assert value(found, "tulle_endpoint_healthy", cluster="v1", endpoint=endpoint) == 1
    assert value(found, "tulle_config_version") == 1
    assert value(found, "tulle_config_reloads_total", outcome="success") == 0
    assert value(found, "tulle_worker_restarts_total") == 0
    assert value(found, "process_resident_memory_bytes") > 1 << 20
    assert value(found, "process_cpu_seconds_total") > 0
    assert value(found, "process_open_fds") > 10


def test_flags_are_counted(start: Start) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        proxy = start(config([address])).ready()
        assert proxy.get()[0] == 503
        until(lambda: proxy.admin("/stats")["requests"]["total"] == 1, "it is counted")
        found = metrics(proxy)
        assert value(
            found, "tulle_response_flags_total", listener="web", route="all", cluster="v1", flag="UF"
        ) == 1  # fmt: skip
        assert value(found, "tulle_upstream_connect_failures_total", cluster="v1", reason="refused") >= 1


def test_buckets_are_those_of_the_configuration(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address], stats={"histogram_buckets": ["1ms", "1s"]})).ready()
    proxy.get()
    until(lambda: proxy.admin("/stats")["requests"]["total"] == 1, "it is counted")
    bounds = re.findall(
        rb'tulle_request_duration_seconds_bucket\{[^}]*le="([^"]+)"', proxy.get("/metrics", "admin")[1]
    )
    assert bounds == [b"0.001", b"1.0", b"+Inf"]


def test_a_page_in_a_browser_of_another_site_cannot_be_read_as_script(proxy: Proxy) -> None:
    answer = talk(proxy, b"GET /config_dump?format=json HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert b"x-content-type-options: nosniff" in answer
    assert b"cache-control: no-store" in answer
