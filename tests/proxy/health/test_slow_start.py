"""Slow start of an endpoint that is found well again: its share of the requests rises with its age."""

import http.client
import math
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from tests.proxy.conftest import Start
from tests.proxy.health.endpoints import FAST, health
from tests.proxy.running import PATIENCE, Proxy, config, until
from tests.servers import QuietServer

WINDOW = 2.0  # seconds
LEAST = 0.1
PARTS = 4
SIGMAS = 4.0
CONNECTIONS = 8  # so that both workers have some


class Turning:
    """A server that says its name, and at /health whether it is well."""

    def __init__(self, name: bytes) -> None:
        self.well = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two segments (RFC 896)

            def do_GET(self) -> None:
                self.send_response(200 if outer.well or self.path != "/health" else 503)
                self.send_header("content-length", str(len(name)))
                self.end_headers()
                self.wfile.write(name)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@contextmanager
def turning(name: bytes) -> Iterator[Turning]:
    made = Turning(name)
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


class Request(NamedTuple):
    """When it was sent and answered, on the wall clock, and by whom."""

    sent: float
    answered: float
    name: bytes


def share(age: float) -> float:
    """Of the requests that an endpoint gets beside another of the same weight, as documented."""
    weight = max(LEAST, min(1.0, age / WINDOW)) if age >= 0 else 0.0
    return weight / (1 + weight)


def ask_until(proxy: Proxy, connections: list[http.client.HTTPConnection], end: float) -> list[Request]:
    asked = []
    while time.time() < end:
        connection = connections[len(asked) % len(connections)]
        sent = time.time()
        connection.request("GET", "/")
        name = connection.getresponse().read()
        asked.append(Request(sent, time.time(), name))
    return asked


def test_the_share_of_one_that_is_back_rises(start: Start) -> None:
    check = FAST | {"http": {"path": "/health"}, "healthy_threshold": 1}
    slow = {"window": f"{WINDOW}s", "min_weight_percent": LEAST * 100}
    with ExitStack() as stack:
        steady, back = (stack.enter_context(turning(name)) for name in (b"steady", b"back"))
        made = config([steady.address, back.address], workers=2)
        made["clusters"]["v1"] |= {
            "health_checks": [check],
            "slow_start": slow,
            "load_balancer": "random",
            "panic_threshold": 0,
        }
        proxy = start(made).ready()
        place = proxy.place("web")
        connections = [http.client.HTTPConnection(*place, timeout=PATIENCE) for _ in range(CONNECTIONS)]
        for connection in connections:
            stack.callback(connection.close)
        back.well = False
        until(lambda: health(proxy, back.address)["health"] == "unhealthy", "it is unhealthy")
        # every worker has seen that it is
        assert {request.name for request in ask_until(proxy, connections, time.time() + 0.2)} == {b"steady"}
        back.well = True
        asked = ask_until(proxy, connections, time.time() + WINDOW * 1.6)
        since = health(proxy, back.address)["health_since"]
    began = min(request.answered for request in asked if request.name == b"back")
    assert began >= since - 0.002  # a millisecond is what is told of it
    for part in range(PARTS):
        from_age, to_age = part * WINDOW / PARTS, (part + 1) * WINDOW / PARTS
        these = [request for request in asked if from_age <= request.sent - since < to_age]
        # it was picked between the two moments, by weights up to a hundredth of the window old, and it
        # joined when the first request after the check looked for an endpoint
        lag = WINDOW / 100 + 0.002 + (began - since)
        least = sum(share(request.sent - since - lag) for request in these)
        most = sum(share(request.answered - since) for request in these)
        spread = SIGMAS * math.sqrt(sum(share(request.sent - since) for request in these) + 1)
        count = sum(request.name == b"back" for request in these)
        assert least - spread <= count <= most + spread, (part, len(these), least, count, most, spread)
    later = [request.name for request in asked if request.sent - since > WINDOW * 1.05 + (began - since)]
    assert abs(later.count(b"back") - len(later) / 2) <= SIGMAS * math.sqrt(len(later)) / 2 + 1
