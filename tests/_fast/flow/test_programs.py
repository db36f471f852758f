"""Programs that others wrote, as clients and as backends: curl, wrk, h2load, nginx."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import programs
from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.crowd import Server
from tests._fast.flow.lab import Lab

Program = Callable[[str], str]

HTTP = """
    client_max_body_size 0;
    keepalive_requests {keepalive_requests};
    keepalive_timeout 60s;
    gzip on;
    gzip_types *;
    types {{ }}
    default_type text/plain;
    server {{
        listen unix:{folder}/nginx.sock;
        root {folder}/www;
        location /moved {{ return 301 /elsewhere; }}
        location /echo {{ client_body_buffer_size 32m; return 200 "$request_method $content_length"; }}
    }}
"""


@pytest.fixture(scope="module", params=[1000, 7], ids=["keeps", "closes often"])
def nginx(
    request: pytest.FixtureRequest, program: Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The folder of a running nginx: its socket is `nginx.sock`, its files are in `www`."""
    folder = tmp_path_factory.mktemp("nginx")
    www = folder / "www"
    www.mkdir()
    for name, size in (("small", 100), ("middle", 100_000), ("large", 10_000_000)):
        (www / name).write_bytes(os.urandom(size // 2).hex().encode())
    http = HTTP.format(folder=folder, keepalive_requests=request.param)
    with programs.nginx(program("nginx"), folder, http):
        yield folder


@pytest.fixture
def before_nginx(nginx: Path, laboratory: Laboratory) -> Lab:
    short = {"connection_pool": {"idle_timeout": "100ms"}}  # the connections that a test leaves end soon
    return laboratory(endpoints=[f"unix:{nginx}/nginx.sock"], workers=2, cluster=short)


def curl(program: Program, lab: Lab, path: str, *options: str) -> bytes:
    port = lab.sidecar.ports["127.0.0.1"]
    return subprocess.run(
        [program("curl"), "-sS", "--max-time", "20", *options, f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("name", ["small", "middle", "large"])
@pytest.mark.parametrize("options", [[], ["--http1.0"], ["--compressed"]], ids=["1.1", "1.0", "gzip"])
def test_files(program: Program, before_nginx: Lab, nginx: Path, name: str, options: list[str]) -> None:
    """nginx sends them with a length, or gzipped in chunks."""
    body = curl(program, before_nginx, f"/{name}", *options)
    assert body == (nginx / "www" / name).read_bytes()


def test_a_range_and_a_condition(program: Program, before_nginx: Lab, nginx: Path) -> None:
    whole = (nginx / "www" / "large").read_bytes()
    assert curl(program, before_nginx, "/large", "-r", "5000000-5000099") == whole[5_000_000:5_000_100]
    head = curl(program, before_nginx, "/small", "-I").decode()
    assert head.startswith("HTTP/1.1 200 OK")
    [tag] = re.findall(r"(?im)^etag: (.*)\r$", head)
    again = curl(program, before_nginx, "/small", "-i", "-H", f"If-None-Match: {tag}").decode()
    assert again.startswith("HTTP/1.1 304 ")


def test_a_redirect_of_the_backend(program: Program, before_nginx: Lab) -> None:
    head = curl(program, before_nginx, "/moved", "-i").decode()
    assert head.startswith("HTTP/1.1 301 ")


@pytest.mark.parametrize("options", [[], ["-H", "Transfer-Encoding: chunked"]], ids=["length", "chunked"])
def test_uploads(program: Program, before_nginx: Lab, tmp_path: Path, options: list[str]) -> None:
    """curl waits for 100 before a large one."""
    file = tmp_path / "upload"
    file.write_bytes(os.urandom(3_000_000))
    expect = ["-H", "Expect: 100-continue"]
    seen = curl(program, before_nginx, "/echo", "-T", str(file), *options, *expect).decode()
    assert seen.startswith("PUT")


def test_many_in_parallel_on_one_connection_each(program: Program, before_nginx: Lab, nginx: Path) -> None:
    body = curl(program, before_nginx, "/small?[1-200]", "--parallel", "--parallel-max", "20")
    assert body == (nginx / "www" / "small").read_bytes() * 200


@pytest.mark.parametrize("connections", [1, 32])
def test_wrk_finds_no_error(program: Program, before_nginx: Lab, connections: int) -> None:
    port = before_nginx.sidecar.ports["127.0.0.1"]
    shown = subprocess.run(
        [program("wrk"), "-t1", f"-c{connections}", "-d1s", f"http://127.0.0.1:{port}/small"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Socket errors" not in shown and "Non-2xx" not in shown, shown
    assert int(re.findall(r"(\d+) requests in", shown)[0]) > 100
    before_nginx.sidecar.wait_for("requests_active", 0)
    assert before_nginx.sidecar.flags().keys() <= {"DC"}, "wrk leaves in the middle of its last requests"


@pytest.mark.parametrize(("clients", "pipelined"), [(1, 1), (32, 1), (8, 16)])
def test_h2load_gets_every_answer_over_http_1(
    program: Program, before_nginx: Lab, clients: int, pipelined: int
) -> None:
    """It asks a fixed number of times, also without waiting for answers."""
    port = before_nginx.sidecar.ports["127.0.0.1"]
    asked, flags = 2000, before_nginx.sidecar.flags()
    options = ["--h1", f"-c{clients}", f"-m{pipelined}"]
    shown = programs.h2load(program("h2load"), f"http://127.0.0.1:{port}/small", asked, *options)
    assert f"requests: {asked} total, {asked} started, " in shown, shown
    assert f"status codes: {asked} 2xx, 0 3xx, 0 4xx, 0 5xx" in shown, shown
    before_nginx.sidecar.wait_for("requests_active", 0)
    assert before_nginx.sidecar.flags() == flags


def test_curl_speaks_websocket_through_it(program: Program, lab: Lab) -> None:
    """A handshake by curl, and bytes behind the 101."""
    port = lab.sidecar.ports["127.0.0.1"]
    fields = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: eA==",
    ]
    options = [option for field in fields for option in ("-H", field)]
    process = subprocess.Popen(
        [program("curl"), "-sSiN", "--http1.1", "--max-time", "20", *options, f"http://127.0.0.1:{port}/"],
        stdout=subprocess.PIPE,
    )
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes"
    )
    upstream.close()
    shown, _ = process.communicate(timeout=20)
    assert shown.startswith(b"HTTP/1.1 101 ") and shown.endswith(b"\r\n\r\nframes")


def test_an_event_stream_to_curl(program: Program, lab: Lab) -> None:
    port = lab.sidecar.ports["127.0.0.1"]
    process = subprocess.Popen(
        [program("curl"), "-sSN", "--max-time", "20", f"http://127.0.0.1:{port}/events"],
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    for index in range(5):
        upstream.send(b"data: %d\n\n" % index)
        assert process.stdout.readline() == b"data: %d\n" % index
        assert process.stdout.readline() == b"\n"
    upstream.close()
    assert process.communicate(timeout=20)[0] == b""
    assert process.returncode == 0


def test_curl_sees_a_truncated_answer(program: Program, lab: Lab) -> None:
    """Exit status 18: partial file, 56: reset."""
    port = lab.sidecar.ports["127.0.0.1"]
    for answer in (b"Content-Length: 10\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"):
        process = subprocess.Popen(
            [program("curl"), "-sS", "--max-time", "20", f"http://127.0.0.1:{port}/"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        upstream = lab.accept()
        upstream.read_request()
        upstream.send(b"HTTP/1.1 200 OK\r\n" + answer)
        upstream.close()
        process.communicate(timeout=20)
        assert process.returncode in (18, 56)


def test_wrk_over_reloads(program: Program, laboratory: Laboratory) -> None:
    with Server(body=b"x" * 100) as server:
        lab = laboratory(endpoints=[server.address], workers=2)
        port = lab.sidecar.ports["127.0.0.1"]
        process = subprocess.Popen(
            [program("wrk"), "-t1", "-c16", "-d3s", f"http://127.0.0.1:{port}/"],
            stdout=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 2
        while time.monotonic() < end:
            lab.sidecar.reload(lab.config)
        shown, _ = process.communicate(timeout=20)
        assert "Socket errors" not in shown and "Non-2xx" not in shown, shown
