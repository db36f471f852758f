"""What an access log line says of a real request."""

import json
import socket
from pathlib import Path

from tests.proxy.conftest import Start
from tests.proxy.running import Backend, config, until

FORMAT = (
    "%METHOD% %PATH% %RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(x-a?x-b)% %DOWNSTREAM_LOCAL_ADDRESS% %ROUTE_NAME%"
)


def logged(file: Path) -> list[str]:
    return until(lambda: file.exists() and file.read_text().splitlines(), "a line")


def exchange(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(request)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer


def test_a_json_line_holds_what_the_request_was(start: Start, backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "log"
    proxy = start(config([backend.address], access_log={"path": str(file)})).ready()
    trace = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    agent = b'User-Agent: a"\\b\xe9\r\n'
    head = b'GET /x?q="1" HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n' + agent + trace + b"\r\n"
    assert exchange(proxy.place("web")[1], head).startswith(b"HTTP/1.1 200 ")
    line = json.loads(logged(file)[0])
    assert line["method"] == "GET"
    assert line["path"] == '/x?q="1"'
    assert line["authority"] == "shop"
    assert line["protocol"] == "HTTP/1.1"
    assert (line["response_code"], line["response_flags"]) == (200, "-")
    assert (line["bytes_received"], line["bytes_sent"], line["attempts"]) == (0, 7, 1)
    assert line["user_agent"] == 'a"\\b\xe9'
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["upstream_host"] == backend.address
    assert (line["upstream_cluster"], line["route_name"]) == ("v1", "all")
    assert 0 <= line["first_byte_us"] <= line["duration_us"]


def test_a_text_line_follows_its_format(start: Start, backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "log"
    log = {"path": str(file), "format": "text", "format_string": FORMAT}
    proxy = start(config([backend.address], access_log=log)).ready()
    exchange(proxy.place("web")[1], b"GET /y HTTP/1.1\r\nHost: shop\r\nX-B: two\r\nConnection: close\r\n\r\n")
    assert logged(file)[0] == f"GET /y 200 - two 127.0.0.1:{proxy.place('web')[1]} all"


def test_a_refused_head_is_logged_with_its_reason(start: Start, backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "log"
    proxy = start(config([backend.address], access_log={"path": str(file)})).ready()
    answer = exchange(proxy.place("web")[1], b"GET / HTTP/1.1\r\nHost: a\r\nbad name: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    line = json.loads(logged(file)[0])
    assert (line["response_code"], line["response_flags"]) == (400, "DPE")
    assert line["upstream_host"] is None
