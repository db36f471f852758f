"""Programs that others wrote, as clients over HTTP/2 with prior knowledge: curl, h2load, nghttp."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.crowd import Server
from tests._fast.flow.lab import Lab
from tests.programs import h2load

Program = Callable[[str], str]
PRIOR = "--http2-prior-knowledge"


def curl(program: Program, lab: Lab, path: str, *options: str) -> bytes:
    url = f"http://127.0.0.1:{lab.sidecar.ports['127.0.0.1']}{path}"
    command = [program("curl"), "-sS", "--max-time", "30", PRIOR, *options, url]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.mark.parametrize("size", [0, 1, 16384, 70000, 5_000_000])
def test_curl_downloads(program: Program, laboratory: Laboratory, size: int) -> None:
    body = os.urandom(size)
    with Server(body=body or b"x") as backend:
        lab = laboratory(endpoints=[backend.address])
        assert curl(program, lab, "/") == (body or b"x")
        assert curl(program, lab, "/", "-w", "%{http_version} %{http_code}", "-o", os.devnull) == b"2 200"


def test_curl_uploads(program: Program, lab: Lab, tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    file = tmp_path / "upload"
    file.write_bytes(body)
    url = f"http://127.0.0.1:{lab.sidecar.ports['127.0.0.1']}/"
    process = subprocess.Popen(
        [program("curl"), "-sS", PRIOR, "--max-time", "30", "-T", str(file), url], stdout=subprocess.PIPE
    )
    upstream = lab.accept()
    seen = upstream.read_request()
    assert seen.start.startswith(b"PUT ")
    assert seen.body == body
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
    assert process.communicate(timeout=30)[0] == b"done"


@pytest.mark.parametrize(("clients", "streams"), [(1, 1), (8, 16), (4, 100)])
def test_h2load_gets_every_answer(
    program: Program, laboratory: Laboratory, clients: int, streams: int
) -> None:
    with Server(body=b"x" * 100) as backend:
        lab = laboratory(endpoints=[backend.address], workers=2)
        url = f"http://127.0.0.1:{lab.sidecar.ports['127.0.0.1']}/"
        h2load(program("h2load"), url, 2000, f"-c{clients}", f"-m{streams}")
        lab.sidecar.wait_for("requests_active", 0)


def test_nghttp_sees_headers_bodies_and_an_end(program: Program, laboratory: Laboratory) -> None:
    with Server(body=b"some text") as backend:
        lab = laboratory(endpoints=[backend.address])
        url = f"http://127.0.0.1:{lab.sidecar.ports['127.0.0.1']}/a"
        shown = subprocess.run(
            [program("nghttp"), "-v", "--no-dep", "-t", "10", url], capture_output=True, text=True, check=True
        ).stdout
    assert ":status: 200" in shown
    assert "some text" in shown
    assert "END_STREAM" in shown
