"""PROXY headers of clients: whom they name, from whom they are believed, and how they can be wrong."""

import socket
import ssl
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import Papers, client_context
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import until
from tests._fast.http.test_proxy_header import V4_BINARY, binary
from tests.programs import haproxy
from tulle.proxy.admin.greetings import greeting_metrics

REQUIRED: dict[str, Any] = {"proxy_protocol": {"timeout": "1m"}}
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 5001 443\r\n"
V6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 5001 443\r\n"
LOG = {"path": "/dev/stdout", "format": "text", "format_string": (
    "from %DOWNSTREAM_REMOTE_ADDRESS% to %DOWNSTREAM_LOCAL_ADDRESS% %RESPONSE_CODE% %RESPONSE_FLAGS%"
)}  # fmt: skip


def outcomes(lab: Lab) -> dict[str, int]:
    names = ("accepted", "absent", "missing", "malformed", "untrusted", "timeout")
    return {name: count for name in names if (count := lab.sidecar.total(f"proxy_header_{name}"))}


def ask(lab: Lab, opening: bytes, *fields: bytes) -> list[bytes]:
    """A request behind the opening; what x-forwarded-for the backend got."""
    client = lab.client()
    client.send(opening + request("GET", "/", *fields))
    upstream = lab.accept()
    seen = upstream.read_request()
    upstream.send(response(b"yes"))
    assert client.read_response().body == b"yes"
    client.close()
    upstream.close()
    return seen.all(b"x-forwarded-for")


@pytest.fixture
def required(laboratory: Laboratory) -> Lab:
    return laboratory(listener=REQUIRED, access_log=LOG)


@pytest.mark.parametrize(
    ("opening", "address"),
    [(V1, b"192.0.2.7"), (V4_BINARY, b"192.0.2.7"), (V6, b"2001:db8::7")],
    ids=["v1", "v2", "v6"],
)
def test_the_client_is_whom_the_header_names(required: Lab, opening: bytes, address: bytes) -> None:
    assert ask(required, opening) == [address]
    shown = b"[%s]:5001" % address if b":" in address else address + b":5001"
    required.sidecar.wait_for_line(f"from {shown.decode()} to ")


def test_the_place_that_it_connected_to_is_logged(required: Lab) -> None:
    ask(required, V1)
    required.sidecar.wait_for_line("from 192.0.2.7:5001 to 198.51.100.1:443 200 -")


@pytest.mark.parametrize("opening", [b"PROXY UNKNOWN\r\n", binary(0x20, 0x00, b"")], ids=["v1", "v2"])
def test_a_header_that_names_nobody(required: Lab, opening: bytes) -> None:
    assert ask(required, opening) == [b"127.0.0.1"]


@pytest.mark.parametrize("opening", [V1, V4_BINARY], ids=["v1", "v2"])
def test_a_header_byte_by_byte(required: Lab, opening: bytes) -> None:
    client = required.client()
    for at in range(len(opening)):
        client.send(opening[at : at + 1])
        assert client.silent()
    client.send(request())
    upstream = required.accept()
    assert upstream.read_request().one(b"x-forwarded-for") == b"192.0.2.7"


def test_extensions_are_skipped(required: Lab) -> None:
    payload = V4_BINARY[16:] + b"\x04" + struct.pack(">H", 3000) + bytes(3000)
    assert ask(required, binary(0x21, 0x11, payload)) == [b"192.0.2.7"]


def test_requests_behind_one_header(required: Lab) -> None:
    client = required.client()
    client.send(V1)
    client.send(request())
    upstream = required.accept()
    for turn in range(3):
        if turn:
            client.send(request())
        assert upstream.read_request().one(b"x-forwarded-for") == b"192.0.2.7"
        upstream.send(response(b"yes"))
        assert client.read_response().body == b"yes"


@pytest.mark.parametrize(
    ("opening", "outcome"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 5001 99999\r\n", "malformed"),
        (b"PROXY TCP4 " + b"1" * 120, "malformed"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + bytes(12), "malformed"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", "missing"),
        (b"\x16\x03\x01\x00\x05\x01", "missing"),
    ],
)
def test_what_is_wrong_closes(required: Lab, opening: bytes, outcome: str) -> None:
    before = outcomes(required).get(outcome, 0)
    client = required.client()
    client.send(opening)
    assert client.expect_gone() == b""
    until(lambda: outcomes(required).get(outcome, 0) == before + 1, "it is counted")
    assert not required.backend.waiting()


@pytest.mark.parametrize("cut", [1, 5, 20, len(V1) - 1])
def test_an_end_within_the_header(required: Lab, cut: int) -> None:
    client = required.client()
    client.send(V1[:cut])
    client.half_close()
    assert client.expect_gone() == b""


@pytest.mark.parametrize("cut", [0, 1, 20, len(V1)])
def test_a_reset_within_or_behind_the_header(required: Lab, cut: int) -> None:
    client = required.client()
    client.send(V1[:cut])
    client.reset()
    until(lambda: required.sidecar.total("downstream_active") == 0, "it is gone")


def test_a_header_that_does_not_come(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"proxy_protocol": {"timeout": "100ms"}})
    client = lab.client()
    client.send(V1[:10])
    assert client.expect_gone() == b""
    until(lambda: outcomes(lab) == {"timeout": 1}, "it is counted")


def test_a_header_that_may_be_left_out(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"proxy_protocol": {"mode": "optional"}})
    assert ask(lab, b"") == [b"127.0.0.1"]
    assert ask(lab, V1) == [b"192.0.2.7"]
    until(lambda: outcomes(lab) == {"accepted": 1, "absent": 1}, "it is counted")


def test_only_those_may_send_one_who_are_believed(laboratory: Laboratory) -> None:
    """Others are closed where one is required, and speak for themselves where not."""
    sources = ["127.0.0.1", "10.0.0.0/8"]
    lab = laboratory(listener={"address": "127.0.0.9:0", "proxy_protocol": {"sources": sources}})
    assert asks_from(lab, "127.0.0.1") == b"192.0.2.7"
    assert lab.turned_away("127.0.0.9", "127.0.0.2")
    until(lambda: outcomes(lab) == {"accepted": 1, "untrusted": 1}, "both are counted")
    lab = laboratory(
        listener={"address": "127.0.0.9:0", "proxy_protocol": {"sources": sources, "mode": "optional"}}
    )
    assert asks_from(lab, "127.0.0.1") == b"192.0.2.7"
    client = lab.client("127.0.0.9", "127.0.0.2")
    client.send(V1 + request())
    assert client.read_response().status == 400


def asks_from(lab: Lab, source: str) -> bytes | None:
    client = lab.client("127.0.0.9", source)
    client.send(V1 + request())
    upstream = lab.accept()
    return upstream.read_request().one(b"x-forwarded-for")


def test_policies_go_by_the_client_that_is_named(laboratory: Laboratory) -> None:
    lab = laboratory(
        listener=REQUIRED,
        policies={"no": {"action": "deny", "rules": [{"from": [{"peer_addresses": ["192.0.2.0/24"]}]}]}},
    )
    client = lab.client()
    client.send(V1 + request())
    assert client.read_response().status == 403
    assert ask(lab, V6) == [b"2001:db8::7"]


def test_limits_go_by_the_client_that_is_named(laboratory: Laboratory) -> None:
    limit = {"name": "few", "requests": 1, "per": "1h", "key": "client_address"}
    lab = laboratory(listener=REQUIRED | {"rate_limits": [limit]})
    assert ask(lab, V1) == [b"192.0.2.7"]
    client = lab.client()
    client.send(V1 + request())
    assert client.read_response().status == 429
    assert ask(lab, V6) == [b"2001:db8::7"]


@pytest.mark.parametrize("opening", [V1, V4_BINARY], ids=["v1", "v2"])
def test_raw_connections(laboratory: Laboratory, opening: bytes) -> None:
    lab = laboratory(
        listener=REQUIRED | {"protocol": "tcp"}, access_log={"path": "/dev/stdout", "format": "text",
        "format_string": "raw from %DOWNSTREAM_REMOTE_ADDRESS%"},
    )  # fmt: skip
    client = lab.client()
    client.send(opening + b"hello")
    upstream = lab.accept()
    assert upstream.read(5) == b"hello"
    upstream.send(b"hello yourself")
    upstream.close()
    assert client.read_rest() == b"hello yourself"
    client.close()
    lab.sidecar.wait_for_line("raw from 192.0.2.7:5001")


def test_before_tls(laboratory: Laboratory, papers: Papers) -> None:
    certificate, key = papers.issue("server", "DNS:localhost")
    lab = laboratory(listener=REQUIRED | {"tls": {"certificate": certificate, "key": key}})
    for opening in (V1, V4_BINARY):
        connection = lab.sidecar.connect()
        connection.sendall(opening)
        context = client_context(papers.ca)
        client = lab.keep(Peer(context.wrap_socket(connection, server_hostname="localhost")))
        client.send(request())
        upstream = lab.accept()
        assert upstream.read_request().one(b"x-forwarded-for") == b"192.0.2.7"
        upstream.send(response(b"yes"))
        assert client.read_response().body == b"yes"
        upstream.close()
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        context.wrap_socket(lab.sidecar.connect(), server_hostname="localhost")


def test_a_reload_while_a_header_is_on_its_way(laboratory: Laboratory) -> None:
    lab = laboratory(listener=REQUIRED, access_log=LOG)
    client = lab.client()
    client.send(V1[:10])
    lab.sidecar.reload(lab.config | {"listeners": [lab.config["listeners"][0] | {"max_connections": 8}]})
    client.send(V1[10:] + request())
    upstream = lab.accept()
    assert upstream.read_request().one(b"x-forwarded-for") == b"192.0.2.7"
    lab.sidecar.reload(lab.config)


def test_curl_sends_one(required: Lab, program: Callable[[str], str]) -> None:
    port = required.sidecar.ports["127.0.0.1"]
    command = [program("curl"), "-sS", "--max-time", "20", "--haproxy-protocol", f"http://127.0.0.1:{port}/"]
    before = outcomes(required).get("accepted", 0)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        upstream = required.accept()
        assert upstream.read_request().one(b"x-forwarded-for") == b"127.0.0.1"
        upstream.send(response(b"yes"))
        assert curl.communicate(timeout=20)[0] == b"yes"
    assert outcomes(required)["accepted"] == before + 1


HAPROXY = """
    default_backend out
backend out
    server one 127.0.0.1:{to} {option}
"""


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_haproxy_sends_one(required: Lab, program: Callable[[str], str], tmp_path: Path, option: str) -> None:
    sections = HAPROXY.format(to=required.sidecar.ports["127.0.0.1"], option=option)
    with haproxy(program("haproxy"), tmp_path, "tcp", sections) as place:
        client = required.keep(Peer(socket.create_connection(place, 10, ("127.0.0.5", 0))))
        client.send(request())
        upstream = required.accept()
        assert upstream.read_request().one(b"x-forwarded-for") == b"127.0.0.5"
        upstream.send(response(b"yes"))
        assert client.read_response().body == b"yes"


def test_the_figures_are_exposed() -> None:
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in greeting_metrics({"proxy_header_missing": 3, "detected_tls_tcp": 4})
        for sample in metric.samples
    }
    assert found["tulle_proxy_protocol_total", "missing"] == 3
    assert found["tulle_detected_connections_total", "tls", "tcp"] == 4
