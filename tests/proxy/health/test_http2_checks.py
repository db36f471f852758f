"""Active health checks over HTTP/2 and by gRPC, of endpoints that are well, ill and rude."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest

from tests.proxy.conftest import Start
from tests.proxy.health.endpoints import FAST, Endpoint, wait_for
from tests.proxy.running import config, until
from tulle.proxy.health.grpc_health import check_request, serving_status

Fields = list[tuple[str, str]]
GRPC = [(":status", "200"), ("content-type", "application/grpc")]


class Http2Endpoint(Endpoint):
    """Speaks HTTP/2: answers every request with `head`, `body` and, where there are any, `trailers`."""

    def __init__(self) -> None:
        self.head: Fields = [(":status", "200")]
        self.body = b""
        self.trailers: Fields = []
        self.seen: list[tuple[dict[bytes, bytes], bytes]] = []
        self.goodbye = False  # GOAWAY behind each answer
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        http.initiate_connection()
        head: dict[bytes, bytes] = {}
        body = b""
        try:
            while True:
                connection.sendall(http.data_to_send())
                data = connection.recv(65536)
                if not data:
                    return
                for event in http.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        head, body = {bytes(name): bytes(value) for name, value in event.headers}, b""
                    elif isinstance(event, h2.events.DataReceived):
                        body += event.data
                    elif isinstance(event, h2.events.StreamEnded):
                        self.seen.append((head, body))
                        self._answer(http, event.stream_id)
        except h2.exceptions.ProtocolError:
            return  # what comes after a GOAWAY is none of HTTP/2 to `h2`

    def _answer(self, http: Any, stream: int) -> None:
        http.send_headers(stream, self.head, end_stream=not self.body and not self.trailers)
        if self.body:
            http.send_data(stream, self.body, end_stream=not self.trailers)
        if self.trailers:
            http.send_headers(stream, self.trailers, end_stream=True)
        if self.goodbye:
            http.close_connection()


@pytest.fixture
def endpoint() -> Iterator[Http2Endpoint]:
    made = Http2Endpoint()
    yield made
    made.close()


def checked(address: str, check: dict[str, Any]) -> dict[str, Any]:
    made = config([address])
    # what is found must not depend on how busy the machine is: nothing times out
    made["clusters"]["v1"] |= {"protocol": "http2", "health_checks": [FAST | {"timeout": "10s"} | check]}
    return made


def serving(status: int) -> bytes:
    message = b"\x08" + bytes([status]) if status else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def well(endpoint: Http2Endpoint, status: int = 1) -> None:
    endpoint.head, endpoint.body, endpoint.trailers = GRPC, serving(status), [("grpc-status", "0")]


def test_http_2_is_what_the_cluster_speaks(start: Start, endpoint: Http2Endpoint) -> None:
    http = {"path": "/alive", "host": "it.test", "headers": {"X-Why": "check"}}
    proxy = start(checked(endpoint.address, {"http": http, "initial": "unhealthy"})).ready()
    wait_for(proxy, endpoint.address, "healthy")
    head, body = endpoint.seen[0]
    assert (head[b":method"], head[b":path"], head[b":authority"]) == (b"GET", b"/alive", b"it.test")
    assert (head[b"x-why"], body) == (b"check", b"")
    until(lambda: len(endpoint.seen) >= 4, "it goes on")
    assert len(endpoint.kept) == 1
    endpoint.head = [(":status", "503")]
    assert wait_for(proxy, endpoint.address, "unhealthy")["last_check_failure"] == "status 503"


def test_a_grpc_service_is_asked_for_its_health(start: Start, endpoint: Http2Endpoint) -> None:
    well(endpoint)
    check = {"grpc": {"service": "shop.Cart"}, "initial": "unhealthy"}
    proxy = start(checked(endpoint.address, check)).ready()
    wait_for(proxy, endpoint.address, "healthy")
    head, body = endpoint.seen[0]
    assert (head[b":method"], head[b":path"]) == (b"POST", b"/grpc.health.v1.Health/Check")
    assert (head[b"content-type"], head[b"te"]) == (b"application/grpc", b"trailers")
    assert head[b"grpc-timeout"] == b"10000m"
    assert body == b"\0\0\0\0\x0b\x0a\x09shop.Cart"
    well(endpoint, 2)
    found = wait_for(proxy, endpoint.address, "unhealthy")
    assert found["last_check_failure"] == "says that it is NOT_SERVING"
    well(endpoint)
    wait_for(proxy, endpoint.address, "healthy")


def answer(
    head: Fields, body: bytes = b"", trailers: Fields | None = None
) -> Callable[[Http2Endpoint], None]:
    def become(endpoint: Http2Endpoint) -> None:
        endpoint.head, endpoint.body, endpoint.trailers = head, body, trailers or []

    return become


@pytest.mark.parametrize(
    ("become", "reason"),
    [
        (answer([*GRPC, ("grpc-status", "12")]), "grpc-status 12"),
        (answer(GRPC, serving(1), [("grpc-status", "14")]), "grpc-status 14"),
        (answer(GRPC, serving(1)), "grpc-status 2"),
        (answer([(":status", "404")]), "status 404"),
        (answer(GRPC, serving(0), [("grpc-status", "0")]), "says that it is UNKNOWN"),
        (answer(GRPC, b"\0\0\0\0\x09", [("grpc-status", "0")]), "the answer is not HTTP"),
    ],
)
def test_a_service_that_is_not_well(
    start: Start, endpoint: Http2Endpoint, become: Callable[[Http2Endpoint], None], reason: str
) -> None:
    become(endpoint)
    proxy = start(checked(endpoint.address, {"grpc": {}})).ready()
    assert wait_for(proxy, endpoint.address, "unhealthy")["last_check_failure"] == reason


def test_a_server_of_http_1_is_not_well(start: Start, backend: Any) -> None:
    proxy = start(checked(backend.address, {"grpc": {}})).ready()
    found = wait_for(proxy, backend.address, "unhealthy")
    assert found["last_check_failure"] in (
        "the answer is not HTTP", "the connection was closed before the answer", "no answer in time",
    )  # fmt: skip


def test_a_connection_that_says_goodbye_is_followed_by_another(start: Start, endpoint: Http2Endpoint) -> None:
    well(endpoint)
    endpoint.goodbye = True
    proxy = start(checked(endpoint.address, {"grpc": {}, "initial": "unhealthy"})).ready()
    wait_for(proxy, endpoint.address, "healthy")
    until(lambda: len(endpoint.kept) >= 4, "there are others")
    assert wait_for(proxy, endpoint.address, "healthy")["last_check_failure"] is None


@pytest.mark.parametrize(("name", "size"), [("", 0), ("a.B", 5), ("s" * 200, 203)])
def test_the_request(name: str, size: int) -> None:
    text = check_request(name)
    assert (text[0], int.from_bytes(text[1:5], "big"), len(text)) == (0, size, size + 5)
    assert text.endswith(name.encode())


@pytest.mark.parametrize(
    ("message", "status"),
    [(b"", 0), (b"\x08\x01", 1), (b"\x12\x02hi\x08\x03", 3), (b"\x10\xff\xff\x01\x08\x01", 1)],
)
def test_the_answer(message: bytes, status: int) -> None:
    assert serving_status(b"\0" + len(message).to_bytes(4, "big") + message) == status


@pytest.mark.parametrize(
    "body", [b"", b"\0\0", b"\1\0\0\0\0", b"\0\0\0\0\2\x08", b"\0\0\0\0\1\x08", b"\0\0\0\0\2\x0d\x01"]
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError):
        serving_status(body)
