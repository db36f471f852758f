"""Clients and servers of `grpcio` with a sidecar between: all kinds of calls, large ones, many, their ends.

Both are programs of their own: `grpcio` has threads, and tests fork.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.lab import make_config
from tests._fast.flow.sidecar import ROOT, Sidecar, until

HERE = "tests._fast.flow"
SERVICE = {"grpc": {"service": "test.Echo"}}
Client = Callable[..., dict[str, Any]]
RETRIES = {"attempts": 2, "on": ["unavailable"], "backoff": {"base": "1ms", "max": "1ms"}}


class Program:
    """`grpc_server` or `grpc_client`, and the lines that it says."""

    def __init__(self, module: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{HERE}.{module}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
        )  # fmt: skip

    def read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the program has ended"
        return line.strip()

    def ask(self, **wanted: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(json.dumps(wanted), file=self.process.stdin, flush=True)
        result: dict[str, Any] = json.loads(self.read())
        return result

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Program]:
    program = Program("grpc_server")
    yield program
    program.stop()


@pytest.fixture(scope="module")
def sidecar(server: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    port = server.read()
    config = make_config(
        [f"127.0.0.1:{port}"],
        workers=2,
        listener={"max_streams_per_connection": 1024},
        cluster={"protocol": "http2", "connection_pool": {"max_streams_per_connection": 1024},
                 "circuit_breaker": {"max_requests": None, "max_pending_requests": None}},
        routes=[{"name": "echo", "matches": [SERVICE], "backends": [{"cluster": "c"}], "retries": RETRIES,
                 "timeouts": {"request": "0s"}}],
        route={"backends": [], "response": {"status": 404}},
    )  # fmt: skip
    own = Sidecar(config, tmp_path_factory.mktemp("grpc"))
    yield own
    until(lambda: own.total("requests_active") == 0, "all calls are over")
    own.stop()


@pytest.fixture(scope="module")
def client(sidecar: Sidecar) -> Iterator[Client]:
    program = Program("grpc_client")
    target = f"127.0.0.1:{sidecar.ports['127.0.0.1']}"
    yield lambda do, **wanted: program.ask(do=do, target=target, **wanted)
    program.stop()


def test_unary(client: Client) -> None:
    assert client("unary") == {"code": "OK", "details": "", "trailing": [], "answer": "hello"}


def test_metadata_there_and_back(client: Client) -> None:
    result = client("metadata")
    assert result["initial"] == result["trailing"] == result["sent"]


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_is_told_of_a_failed_call(sidecar: Sidecar, program: Callable[[str], str], version: str) -> None:
    """It does not speak gRPC, and gets the status of HTTP that stands for that of the call, and JSON."""
    url = f"http://127.0.0.1:{sidecar.ports['127.0.0.1']}/test.Echo/Nope"
    command = [program("curl"), "-sS", "--max-time", "30", version, "-d", "{}", "-w", "%{stderr}%{http_code}"]
    # Without TE the server resets what it is asked
    command += ["-H", "content-type: application/json", "-H", "te: trailers", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (done.stderr, told["status"], told["code"], told["name"]) == ("501", 501, 12, "UNIMPLEMENTED")


def test_a_stream_of_requests(client: Client) -> None:
    assert client("collect", size=1000, number=2000) == {"answer": "2000 2000000"}


def test_a_stream_of_answers(client: Client) -> None:
    assert client("count", size=1000, number=2000) == {"number": 2000, "good": True}


def test_both_ways_at_once(client: Client) -> None:
    assert client("chat", number=50) == {"good": True}


def test_a_message_of_a_hundred_megabytes(client: Client) -> None:
    assert client("large", size=100 << 20) == {"good": True}


def test_a_thousand_streams_at_once(client: Client, sidecar: Sidecar) -> None:
    before = sidecar.total("downstream_total")
    assert client("crowd", number=1000) == {"number": 1000, "good": True}
    assert sidecar.total("downstream_total") == before + 1


def test_a_cancelled_call_reaches_the_server(client: Client, server: Program) -> None:
    result = client("hang")
    assert (result["code"], result["first"]) == ("CANCELLED", "first")
    assert server.read() == "cancelled, with no limit"


def test_a_deadline_reaches_the_server(client: Client, server: Program) -> None:
    result = client("hang", timeout=2.0)
    assert (result["code"], result["first"]) == ("DEADLINE_EXCEEDED", "first")
    name, _, left = server.read().partition(", with ")
    assert name == "cancelled" and 0 < float(left.removesuffix(" s")) <= 2


def test_a_status_and_its_message(client: Client) -> None:
    result = client("unary", path="/test.Echo/Fail", body="9 1")
    assert (result["code"], result["details"]) == ("FAILED_PRECONDITION", "failure 1: 50 % gone, \N{SNOWMAN}")


def test_a_call_is_tried_again_until_it_is_well(client: Client) -> None:
    assert client("unary", path="/test.Echo/Fail", body="14 2")["answer"] == "3"


def test_a_call_that_no_route_takes(client: Client) -> None:
    result = client("unary", path="/other.Service/Unary")
    assert (result["code"], result["details"]) == ("UNIMPLEMENTED", "")


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    sidecar = Sidecar(make_config(["127.0.0.1:1"], cluster={"protocol": "http2"}), tmp_path)
    program = Program("grpc_client")
    try:
        result = program.ask(do="unary", target=f"127.0.0.1:{sidecar.ports['127.0.0.1']}")
        assert (result["code"], result["details"]) == ("UNAVAILABLE", "upstream connection failed")
    finally:
        program.stop()
        sidecar.stop()
