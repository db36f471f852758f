"""`protocol: auto`: what a connection speaks is found out, whole, byte by byte, cut off at every byte."""

import json
import ssl
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bench.sockets import free_ports
from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import Papers, client_context
from tests._fast.flow.peers import Backend, Peer, request, response
from tests._fast.flow.sidecar import until
from tests._fast.http.test_client_hello import hello_of
from tests._fast.http.test_detection import PREFACE

PATIENT = {"protocol": "auto", "detection": {"timeout": "1m"}}
HASTY = {"protocol": "auto", "detection": {"timeout": "50ms"}}
LOG = {"path": "/dev/stdout", "format": "json"}
OPAQUE = b"*1\r\n$4\r\nPING\r\n"


def found(lab: Lab) -> dict[str, int]:
    kinds = [f"{layer}_{kind}" for layer in ("plain", "tls")
             for kind in ("http1", "http2", "tls", "tcp", "silent", "port")]  # fmt: skip
    return {kind: count for kind in kinds if (count := lab.sidecar.total(f"detected_{kind}"))}


def last_line(lab: Lab, word: str) -> dict[str, Any]:
    """The newest line of the log that tells of this."""
    lab.sidecar.wait_for_line(f'"detected":"{word}"')
    lines = [line for line in lab.sidecar.words().splitlines() if f'"detected":"{word}"' in line]
    return dict(json.loads(lines[-1]))


def answered(client: Peer, lab: Lab) -> None:
    upstream = lab.accept()
    assert upstream.read_request().start == b"GET / HTTP/1.1"
    upstream.send(response(b"yes", b"Connection: close"))
    assert client.read_response().body == b"yes"


def passed_on(client: Peer, upstream: Peer, opening: bytes) -> None:
    assert upstream.read(len(opening)) == opening
    upstream.send(b"+PONG\r\n")
    assert client.read_line() == b"+PONG"


@pytest.fixture
def patient(laboratory: Laboratory) -> Lab:
    return laboratory(listener=PATIENT, access_log=LOG)


def test_http_1(patient: Lab) -> None:
    client = patient.client()
    client.send(request())
    answered(client, patient)
    line = last_line(patient, "http/1")
    assert (line["protocol"], line["response_code"]) == ("HTTP/1.1", 200)


def test_http_1_byte_by_byte(patient: Lab) -> None:
    client = patient.client()
    for byte in request():
        client.send(bytes([byte]))
    answered(client, patient)


def test_http_2(patient: Lab) -> None:
    client = H2Peer(patient.client())
    stream = client.ask()
    upstream = patient.accept()
    upstream.read_request()
    upstream.send(response(b"yes"))
    assert client.answer(stream).body == b"yes"
    assert last_line(patient, "http/2")["protocol"] == "HTTP/2"


def test_what_is_neither_is_passed_on(patient: Lab) -> None:
    client = patient.client()
    client.send(OPAQUE)
    upstream = patient.accept()
    passed_on(client, upstream, OPAQUE)
    client.close()
    upstream.close()
    assert last_line(patient, "tcp")["protocol"] == "TCP"


def test_it_byte_by_byte(patient: Lab) -> None:
    """What may yet become HTTP is held back; once it cannot, all goes on."""
    client = patient.client()
    client.send(b"GET")
    client.send(b" ")
    assert not patient.backend.waiting()
    client.send(b"key\r\n")
    passed_on(client, patient.accept(), b"GET key\r\n")


@pytest.mark.parametrize(
    "opening", [request(), PREFACE, OPAQUE, hello_of("a.test")], ids=["h1", "h2", "tcp", "tls"]
)
@pytest.mark.parametrize("how", ["reset", "close"])
def test_cut_off_at_every_byte(patient: Lab, opening: bytes, how: str) -> None:
    lengths = [*range(30), len(opening) - 1]
    expected = patient.sidecar.total("downstream_total") + len(lengths)
    for length in lengths:
        client = patient.client()
        client.send(opening[:length])
        if how == "reset":
            client.reset()
        else:
            client.close()

    def quiet() -> bool:
        while patient.backend.waiting():
            patient.backend.accept().close()
        return patient.sidecar.total("downstream_total") == expected and not patient.sidecar.held()

    until(quiet, "all have ended")


def test_an_end_behind_the_first_bytes_is_passed_on(patient: Lab) -> None:
    """Bytes that are neither one nor the other when the client has said all."""
    client = patient.client()
    client.send(b"GET")
    client.half_close()
    upstream = patient.accept()
    assert upstream.read_rest() == b"GET"
    upstream.send(b"what?")
    upstream.close()
    assert client.read_rest() == b"what?"


def test_an_end_without_a_byte_is_passed_on(patient: Lab) -> None:
    client = patient.client()
    client.half_close()
    upstream = patient.accept()
    assert upstream.read_rest() == b""
    upstream.send(b"220 ready\r\n")
    upstream.close()
    assert client.read_rest() == b"220 ready\r\n"


def test_the_server_speaks_first(laboratory: Laboratory) -> None:
    lab = laboratory(listener=HASTY, access_log=LOG)
    client = lab.client()
    upstream = lab.accept()
    upstream.send(b"220 ready\r\n")
    assert client.read_line() == b"220 ready"
    client.send(request())
    assert upstream.read(len(request())) == request()
    client.close()
    upstream.close()
    assert last_line(lab, "silent")["protocol"] == "TCP"
    until(lambda: found(lab) == {"plain_silent": 1}, "it is counted")


def test_a_first_byte_ends_the_silence(laboratory: Laboratory) -> None:
    """The rest may be slower than silence may be long: it has the time of a head, and is passed on then."""
    lab = laboratory(listener=HASTY | {"request_head_timeout": "300ms"})
    with lab.sidecar.asleep():
        client = lab.client()
        client.send(b"GET")
    upstream = lab.accept()
    assert upstream.read(3) == b"GET"
    until(lambda: found(lab) == {"plain_tcp": 1}, "it is counted")


@pytest.fixture
def free_port() -> int:
    return free_ports(1)[0]


@pytest.mark.parametrize("where", ["listener", "port"])
def test_where_nothing_is_looked_at(laboratory: Laboratory, where: str, free_port: int) -> None:
    detection: dict[str, Any] = {"timeout": "0s"}
    if where == "port":
        detection = {"timeout": "20s", "ports": [{"port": free_port, "timeout": "0s"}]}
    address = f"127.0.0.3:{free_port if where == 'port' else 0}"
    lab = laboratory(listener={"protocol": "auto", "address": address, "detection": detection})
    client = lab.client("127.0.0.3")
    upstream = lab.accept()
    upstream.send(b"220 ready\r\n")
    assert client.read_line() == b"220 ready"
    until(lambda: found(lab) == {"plain_port": 1}, "it is counted")


@pytest.mark.parametrize(("port", "kind"), [(3306, "port"), (80, "http1")])
def test_the_port_that_a_proxy_header_names(laboratory: Laboratory, port: int, kind: str) -> None:
    lab = laboratory(listener=PATIENT | {"proxy_protocol": {}, "max_connections": port})
    client = lab.client()
    client.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 5001 %d\r\n" % port)
    if kind == "http1":
        client.send(request())
        answered(client, lab)
    else:
        upstream = lab.accept()
        upstream.send(b"\x4a\x00\x00\x00\x0a8.0.0")
        assert client.read(10)[4:] == b"\x0a8.0.0"[:6]
    until(lambda: found(lab) == {f"plain_{kind}": 1}, "it is counted")


# -- TLS that is passed on -----------------------------------------------------------------------------------


def test_tls_is_passed_on_by_its_name(laboratory: Laboratory) -> None:
    other = Backend()
    lab = laboratory(
        listener=PATIENT,
        access_log=LOG,
        routes=[{"name": "b", "hostnames": ["*.b.test"], "backends": [{"cluster": "b"}]}],
        more_clusters={"b": {"endpoints": [{"address": other.address}]}},
    )
    for name, backend, offers, word in (
        ("x.b.test", other, ["h2"], "tls:h2"), ("x.c.test", lab.backend, None, "tls"),
    ):  # fmt: skip
        hello = hello_of(name, offers)
        client = lab.client()
        for at in range(0, len(hello), 60):
            client.send(hello[at : at + 60])
        upstream = lab.keep(backend.accept())
        assert upstream.read(len(hello)) == hello
        upstream.close()
        client.expect_gone()
        client.close()
        line = last_line(lab, word)
        assert (line["authority"], line["protocol"]) == (name, "TCP")
    until(lambda: found(lab) == {"plain_tls": 2}, "it is counted")


# -- TLS that ends here --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(papers: Papers) -> dict[str, Any]:
    certificate, key = papers.issue("server", "DNS:localhost")
    return {"tls": {"certificate": certificate, "key": key}}


def secured(lab: Lab, papers: Papers, *protocols: str) -> Peer:
    context = client_context(papers.ca)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return lab.keep(Peer(context.wrap_socket(lab.sidecar.connect(), server_hostname="localhost")))


def test_tls_and_plain_on_one_port(laboratory: Laboratory, tls: dict[str, Any], papers: Papers) -> None:
    lab = laboratory(listener=PATIENT | tls, access_log=LOG)
    plain = lab.client()
    plain.send(request())
    answered(plain, lab)
    for protocols in ((), ("http/1.1",)):
        client = secured(lab, papers, *protocols)
        client.send(request())
        answered(client, lab)
    assert last_line(lab, "tls+http/1")["protocol"] == "HTTP/1.1"
    opaque = lab.client()
    opaque.send(OPAQUE)
    passed_on(opaque, lab.accept(), OPAQUE)
    within = secured(lab, papers)
    within.send(OPAQUE)
    upstream = lab.accept()
    passed_on(within, upstream, OPAQUE)
    within.close()
    upstream.close()
    assert last_line(lab, "tls+tcp")["protocol"] == "TCP"
    all_kinds = {"plain_http1": 1, "plain_tls": 3, "plain_tcp": 1, "tls_http1": 2, "tls_tcp": 1}
    until(lambda: found(lab) == all_kinds, "all are counted")


def test_within_tls_byte_by_byte(laboratory: Laboratory, tls: dict[str, Any], papers: Papers) -> None:
    lab = laboratory(listener=PATIENT | tls, access_log=LOG)
    for opening in (request(), OPAQUE):
        client = secured(lab, papers)
        for byte in opening:
            client.send(bytes([byte]))
        if opening is OPAQUE:
            passed_on(client, lab.accept(), OPAQUE)
        else:
            answered(client, lab)


def test_within_tls_the_server_may_speak_first(
    laboratory: Laboratory, tls: dict[str, Any], papers: Papers
) -> None:
    lab = laboratory(listener=HASTY | tls)
    with lab.sidecar.asleep():  # the ClientHello comes with the connection: it is no silence
        connection = client_context(papers.ca).wrap_socket(
            lab.sidecar.connect(), server_hostname="localhost", do_handshake_on_connect=False
        )
        connection.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            connection.do_handshake()
    client = lab.keep(Peer(connection))
    connection.do_handshake()
    upstream = lab.accept()
    upstream.send(b"220 ready\r\n")
    assert client.read_line() == b"220 ready"
    until(lambda: found(lab) == {"plain_tls": 1, "tls_silent": 1}, "it is counted")


def test_within_tls_the_name_is_that_of_the_handshake(
    laboratory: Laboratory, tls: dict[str, Any], papers: Papers
) -> None:
    other = Backend()
    lab = laboratory(
        listener=PATIENT | tls,
        routes=[{"name": "b", "hostnames": ["localhost"], "backends": [{"cluster": "b"}]}],
        more_clusters={"b": {"endpoints": [{"address": other.address}]}},
    )
    client = secured(lab, papers)
    client.send(OPAQUE)
    passed_on(client, lab.keep(other.accept()), OPAQUE)
    other.close()


def test_many_bytes_within_tls(laboratory: Laboratory, tls: dict[str, Any], papers: Papers) -> None:
    lab = laboratory(listener=PATIENT | tls, access_log=LOG)
    client = secured(lab, papers)
    client.send(OPAQUE)
    upstream = lab.accept()
    passed_on(client, upstream, OPAQUE)
    data = bytes(range(256)) * 8192
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(upstream.send, data)
        assert client.read(len(data)) == data
        sending.result()
        sending = pool.submit(client.send, data)
        assert upstream.read(len(data)) == data
        sending.result()


def test_a_handshake_that_fails(laboratory: Laboratory, tls: dict[str, Any]) -> None:
    lab = laboratory(listener=PATIENT | tls, access_log=LOG)
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(lab.sidecar.connect(), server_hostname="localhost")
    until(lambda: lab.sidecar.total("downstream_active") == 0, "it is gone")


def test_curl_finds_its_way(
    laboratory: Laboratory, tls: dict[str, Any], papers: Papers, program: Callable[[str], str]
) -> None:
    lab = laboratory(
        listener=PATIENT | tls,
        routes=[{"name": "alive", "matches": [{"path": {"exact": "/alive"}}], "response": {"body": "yes"}}],
    )  # fmt: skip
    port = lab.sidecar.ports["127.0.0.1"]
    for options in ([f"http://localhost:{port}/alive"], ["--cacert", papers.ca, f"https://localhost:{port}/alive"],
                    ["--http2-prior-knowledge", f"http://localhost:{port}/alive"]):  # fmt: skip
        command = [program("curl"), "-sS4", "--max-time", "20", *options]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"yes"


# -- what a raw connection has not ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "route",
    [{"response": {"body": "yes"}}, {"matches": [{"method": "GET"}], "backends": [{"cluster": "c"}]}],
    ids=["a fixed response", "a method"],
)  # fmt: skip
def test_routes_that_only_requests_can_take(laboratory: Laboratory, route: dict[str, Any]) -> None:
    lab = laboratory(
        listener=PATIENT, route={"matches": [{"path": {"prefix": "/api"}}]}, routes=[{"name": "r"} | route]
    )
    client = lab.client()
    client.send(OPAQUE)
    assert client.expect_gone() == b""


def test_policies_of_requests_are_stricter_there(laboratory: Laboratory) -> None:
    lab = laboratory(
        listener=PATIENT,
        policies={"get": {"action": "allow", "rules": [{"to": [{"methods": ["GET"]}]}]}},
    )
    client = lab.client()
    client.send(OPAQUE)
    assert client.expect_gone() == b""
    client = lab.client()
    client.send(request())
    answered(client, lab)


def test_mirrors_and_hedges_leave_raw_connections_alone(laboratory: Laboratory) -> None:
    other = Backend()
    lab = laboratory(
        listener=PATIENT,
        route={
            "mirror": [{"cluster": "other"}],
            "hedging": {"delay": "1ms"},
            "retries": {"attempts": 1, "on": ["5xx"], "unsafe_methods": True},
        },
        more_clusters={"other": {"endpoints": [{"address": other.address}]}},
    )
    client = lab.client()
    client.send(OPAQUE)
    client.half_close()
    upstream = lab.accept()
    assert upstream.read_rest() == OPAQUE
    upstream.send(b"+PONG\r\n")
    upstream.close()
    assert client.read_rest() == b"+PONG\r\n"
    assert not other.waiting()
    other.close()
