"""Raw TCP with TLS on either side or both: who is let in, and that bytes and ends stay what they were."""

import contextlib
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, own_lab
from tests._fast.flow.papers import CLIENT_ID, SERVER_ID, Papers, client_context, server_context
from tests._fast.flow.peers import Backend, Peer
from tests._fast.flow.secure_peer import SecurePeer
from tests._fast.flow.sidecar import until
from tests._fast.flow.test_proxy_protocol_out import introduced

LOG = {"path": "/dev/stdout", "format": "json"}
SIDES = ("in", "out", "both")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
BLOCKS = 16  # of 1 MiB: more than sockets hold
Section = dict[str, Any]


@dataclass
class Wires:
    """A sidecar with TLS on some sides, and connections through it."""

    lab: Lab
    papers: Papers
    sides: str

    def client(self, raw: socket.socket | None = None, **options: Any) -> Peer:
        raw = raw or self.lab.sidecar.connect()
        plain = self.lab.keep(Peer(raw))
        if self.sides == "out":
            return plain
        options.setdefault("context", client_context(self.papers.ca, pair(self.papers, "cart")))
        return self.lab.keep(SecurePeer(raw, **{"name": "stock.example"} | options))

    def accept(self, context: ssl.SSLContext | None = None) -> Peer:
        raw = self.lab.accept()
        if self.sides == "in":
            return raw
        context = context or server_context(pair(self.papers, "backend"), self.papers.ca)
        return self.lab.keep(SecurePeer(raw.connection, context))

    def ends(self) -> tuple[Peer, Peer]:
        client = self.client()
        return client, self.accept()


def pair(papers: Papers, name: str) -> tuple[str, str]:
    return str(papers.folder / f"{name}.crt"), str(papers.folder / f"{name}.key")


@pytest.fixture(scope="module")
def issued(papers: Papers) -> Papers:
    papers.issue("stock", "DNS:stock.example", "DNS:*.b.test")
    papers.issue("cart", f"URI:{CLIENT_ID}")
    papers.issue("other", "URI:spiffe://example.org/ns/shop/sa/other")
    papers.issue("backend", f"URI:{SERVER_ID}")
    papers.issue("impostor", "URI:spiffe://example.org/ns/shop/sa/impostor")
    return papers


Wiring = Callable[..., Wires]


def sections(papers: Papers, sides: str, more: dict[str, Any]) -> dict[str, Any]:
    """Of a lab: mutual TLS on these sides."""
    listener: Section = {"protocol": "tcp"} | more.pop("listener", {})
    cluster: Section = more.pop("cluster", {})
    certificate, key = pair(papers, "stock")
    inward = {"certificate": certificate, "key": key, "client_ca": papers.ca}
    certificate, key = pair(papers, "cart")
    outward = {
        "ca": papers.ca, "certificate": certificate, "key": key, "sni": "asked.example",
        "verify": {"uri": [SERVER_ID]},
    }  # fmt: skip
    if sides != "out":
        listener = listener | {"tls": inward | listener.get("tls", {})}
    if sides != "in":
        cluster = cluster | {"tls": outward | cluster.get("tls", {})}
    return {"listener": listener, "cluster": cluster} | more


@pytest.fixture
def wiring(laboratory: Laboratory, issued: Papers) -> Wiring:
    def make(sides: str, **more: Any) -> Wires:
        return Wires(laboratory(**sections(issued, sides, more)), issued, sides)

    return make


@pytest.fixture(params=SIDES)
def wires(request: pytest.FixtureRequest, wiring: Wiring) -> Wires:
    return wiring(request.param)


def failed(lab: Lab, side: str, reason: str) -> int:
    return lab.sidecar.total(f"tls_{side}_failed_{reason}")


# -- bytes and their ends ------------------------------------------------------------------------------------


def test_bytes_go_both_ways(wires: Wires) -> None:
    client, upstream = wires.ends()
    for index in range(20):
        client.send(b"ping %d\x00" % index)
        assert upstream.read(len(b"ping %d\x00" % index)) == b"ping %d\x00" % index
        upstream.send(b"\xffpong %d" % index)
        assert client.read(len(b"\xffpong %d" % index)) == b"\xffpong %d" % index


def test_the_server_may_speak_first(wires: Wires) -> None:
    client, upstream = wires.ends()
    upstream.send(b"220 ready\r\n")
    assert client.read_line() == b"220 ready"


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_half_closes_are_kept(wires: Wires, first: str) -> None:
    client, upstream = wires.ends()
    one, other = (client, upstream) if first == "client" else (upstream, client)
    one.send(b"the question")
    one.half_close()
    assert other.read_rest() == b"the question"
    for piece in (b"a long ", b"answer"):
        other.send(piece)
        assert one.read(len(piece)) == piece
    other.half_close()
    one.expect_end()


def test_all_of_it_at_once(wires: Wires) -> None:
    """Bytes, close_notify and FIN in one event, and before there is a connection upstream."""
    client = wires.client() if wires.sides != "out" else None
    with wires.lab.sidecar.asleep():
        client = client or wires.client()
        client.send(b"all that I have to say")
        client.half_close()
        if isinstance(client, SecurePeer):
            client.cut()
    upstream = wires.accept()
    assert upstream.read_rest() == b"all that I have to say"
    upstream.send(b"heard")
    upstream.half_close()
    assert client.read_rest() == b"heard"


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_a_reset_is_passed_on(wires: Wires, who: str) -> None:
    client, upstream = wires.ends()
    client.send(b"x")
    assert upstream.read(1) == b"x"
    upstream.send(b"y")
    assert client.read(1) == b"y"
    gone, left = (client, upstream) if who == "client" else (upstream, client)
    gone.reset()
    left.expect_reset()


@pytest.mark.parametrize(
    ("sides", "who"),
    [("in", "client"), ("out", "upstream"), ("both", "client"), ("both", "upstream")],
)
def test_a_cut_is_no_end(wiring: Wiring, sides: str, who: str) -> None:
    """Somebody on the way may have dropped the rest: what came of it is passed on, and then a reset."""
    wires = wiring(sides)
    before = dict(wires.lab.sidecar.flags())
    client, upstream = wires.ends()
    one, other = (client, upstream) if who == "client" else (upstream, client)
    one.send(b"transfer 1,000 to")
    assert other.read(17) == b"transfer 1,000 to"
    assert isinstance(one, SecurePeer)
    one.cut()
    assert other.expect_reset() == b""
    flag = "DC" if who == "client" else "UC"
    until(lambda: wires.lab.sidecar.flags().get(flag, 0) == before.get(flag, 0) + 1, "it is counted")


def test_a_cut_after_the_end_is_nothing(wiring: Wiring) -> None:
    wires = wiring("both", access_log=LOG)
    client, upstream = wires.ends()
    client.send(b"bye")
    client.half_close()
    assert upstream.read_rest() == b"bye"
    assert isinstance(client, SecurePeer)
    client.cut()
    upstream.send(b"still here")
    assert client.read(10) == b"still here"
    upstream.half_close()
    client.expect_end()
    wires.lab.sidecar.wait_for_line('"protocol":"TCP"')
    assert wires.lab.sidecar.flags() == {}


GARBAGE = b"\x17\x03\x03\x00\x20" + b"x" * 32


def test_garbage_in_place_of_a_record(wiring: Wiring) -> None:
    client, upstream = wiring("both").ends()
    client.send(b"x")
    assert upstream.read(1) == b"x"
    client.connection.sendall(GARBAGE)
    assert upstream.expect_reset() == b""


def test_garbage_before_there_is_a_tunnel(wiring: Wiring) -> None:
    """Who has been connected to is not to take nothing at all for all that there was."""
    wires = wiring("in")
    for _ in range(10):
        wires.client().connection.sendall(GARBAGE)
        assert wires.accept().expect_reset() == b""


def received(lab: Lab) -> int:
    return lab.sidecar.total("bytes_downstream_received") + lab.sidecar.total("bytes_upstream_received")


# -- many bytes ----------------------------------------------------------------------------------------------


def test_many_bytes_both_ways_at_once(wires: Wires) -> None:
    client, upstream = wires.ends()
    data = os.urandom(2 << 20)
    with ThreadPoolExecutor(3) as pool:
        sending = [pool.submit(client.send, data), pool.submit(upstream.send, data[::-1])]
        reading = pool.submit(upstream.read, len(data))
        assert client.read(len(data)) == data[::-1]
        assert reading.result() == data
        for each in sending:
            each.result()


@pytest.mark.parametrize("slow", ["client", "upstream"])
def test_a_slow_reader_holds_the_sender_and_gets_all(wiring: Wiring, slow: str) -> None:
    wires = wiring("both")
    client, upstream = wires.ends()
    reader, sender = (client, upstream) if slow == "client" else (upstream, client)
    reader.half_close()
    assert sender.read_rest() == b""
    block = os.urandom(1 << 20)
    before = wires.lab.sidecar.total("memory")
    arrived = 0

    def send() -> None:
        for _ in range(BLOCKS):
            sender.send(block)
        sender.half_close()

    def stands_still() -> bool:
        nonlocal arrived
        last, arrived = arrived, received(wires.lab)
        return 0 < last == arrived

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        until(stands_still, "nothing more is taken, or all of it")
        assert wires.lab.sidecar.total("memory") - before < 1 << 20
        for _ in range(BLOCKS):
            assert reader.read(len(block)) == block
        reader.expect_end()
        sending.result()


# -- who is let in -------------------------------------------------------------------------------------------


def test_policies_go_by_the_principal(wiring: Wiring, issued: Papers) -> None:
    rule = {"from": [{"principals": [CLIENT_ID]}]}
    wires = wiring("both", policies={"cart": {"rules": [rule]}}, access_log=LOG)
    client, upstream = wires.ends()
    client.send(b"let in")
    assert upstream.read(6) == b"let in"
    client.half_close()
    upstream.half_close()
    upstream.expect_end()
    client.expect_end()
    wires.lab.sidecar.wait_for_line('"protocol":"TCP"')
    line = next(line for line in wires.lab.sidecar.words().splitlines() if line.startswith("{"))
    told = json.loads(line)
    assert (told["principal"], told["authority"]) == (CLIENT_ID, "stock.example")
    assert (told["bytes_received"], told["bytes_sent"], told["response_code"]) == (6, 0, 0)
    denied = wires.client(context=client_context(issued.ca, pair(issued, "other")))
    assert denied.expect_reset() == b""
    until(lambda: wires.lab.sidecar.flags() == {"RBAC": 1}, "it is counted")
    assert not wires.lab.backend.waiting()


@pytest.mark.parametrize("reason", ["no_certificate", "certificate", "alert", "protocol", "closed"])
def test_handshakes_that_fail(wiring: Wiring, issued: Papers, tmp_path: Path, reason: str) -> None:
    wires = wiring("in", listener={"tls": {"min_version": "1.3"}})
    before = failed(wires.lab, "downstream", reason)
    context = client_context(issued.ca, None if reason == "no_certificate" else pair(issued, "cart"))
    if reason == "certificate":
        context.load_cert_chain(*Papers(tmp_path, "foreign").issue("foreign", f"URI:{CLIENT_ID}"))
    elif reason == "alert":
        context = client_context(Papers(tmp_path, "foreign").ca)
    elif reason == "protocol":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if reason == "closed":
        client = wires.lab.client()
        client.send(b"\x16\x03\x01")
        client.close()
    else:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            wires.client(context=context).read_rest()
    until(lambda: failed(wires.lab, "downstream", reason) == before + 1, "it is counted")
    assert not wires.lab.backend.waiting()


def test_who_speaks_plain_http_gets_no_answer(wiring: Wiring) -> None:
    wires = wiring("in")
    client = wires.lab.client()
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert client.expect_reset() == b""
    until(lambda: failed(wires.lab, "downstream", "plain") == 1, "it is counted")


def test_who_stalls_is_shown_out(wiring: Wiring) -> None:
    wires = wiring("in", listener={"tls": {"handshake_timeout": "100ms"}})
    client = wires.lab.client()
    client.send(b"\x16\x03\x01")
    assert client.expect_gone() == b""
    until(lambda: failed(wires.lab, "downstream", "timeout") == 1, "it is counted")


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_name_of_the_handshake_chooses_the_route(
    wiring: Wiring, issued: Papers, version: ssl.TLSVersion
) -> None:
    """Also when the session is resumed, which in TLS 1.2 is made with the name of the first time."""
    other = Backend()
    wires = wiring(
        "in",
        routes=[{"name": "b", "hostnames": ["*.b.test"], "backends": [{"cluster": "b"}]}],
        more_clusters={"b": {"endpoints": [{"address": other.address}]}},
    )
    context = client_context(issued.ca, pair(issued, "cart"))
    context.minimum_version = context.maximum_version = version
    session = None
    for name, backend in (("x.b.test", other), ("x.b.test", other), ("stock.example", wires.lab.backend)):
        client = wires.client(context=context, name=name, session=session if backend is other else None)
        assert isinstance(client, SecurePeer)
        assert client.tls.session_reused == (session is not None and backend is other)
        upstream = wires.lab.keep(backend.accept())
        upstream.send(b"hello")
        assert client.read(5) == b"hello"
        session = client.tls.session
        client.half_close()
        assert upstream.read_rest() == b""
        upstream.close()
        client.expect_end()
    other.close()


def test_nothing_is_agreed_on_by_alpn(wiring: Wiring, issued: Papers) -> None:
    """Neither side speaks HTTP here, so nobody is told that it does."""
    wires = wiring("both")
    inner = client_context(issued.ca, pair(issued, "cart"))
    outer = server_context(pair(issued, "backend"), issued.ca)
    names: list[str | None] = []
    outer.sni_callback = lambda connection, name, context: names.append(name)
    for context in (inner, outer):
        context.set_alpn_protocols(["http/1.1", "h2"])
    client = wires.client(context=inner)
    upstream = wires.accept(outer)
    assert isinstance(client, SecurePeer)
    assert isinstance(upstream, SecurePeer)
    assert client.tls.selected_alpn_protocol() is None
    assert upstream.tls.selected_alpn_protocol() is None
    assert names == ["asked.example"]
    certificate: Any = upstream.tls.getpeercert()
    assert ("URI", CLIENT_ID) in certificate["subjectAltName"]


def test_proxy_headers_stand_before_both_handshakes(wiring: Wiring, issued: Papers) -> None:
    wires = wiring("both", listener={"proxy_protocol": {}}, cluster={"proxy_protocol": "v2"})
    raw = wires.lab.sidecar.connect()
    raw.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n")
    client = wires.client(raw)
    plain = wires.lab.accept()
    assert introduced(plain) == ("192.0.2.1", 1000, "192.0.2.2", 443)
    context = server_context(pair(issued, "backend"), issued.ca)
    upstream = SecurePeer(plain.connection, context, begun=bytes(plain.unread))
    client.send(b"hello")
    assert upstream.read(5) == b"hello"


# -- endpoints -----------------------------------------------------------------------------------------------


@contextmanager
def impostor(papers: Papers, kind: str) -> Iterator[Backend]:
    """An endpoint that is not whom the cluster expects, or leaves in the middle of the handshake."""
    backend = Backend()
    context = server_context(pair(papers, "impostor"))

    def serve() -> None:
        while True:
            try:
                connection = backend.listening.accept()[0]
            except OSError:
                return
            with contextlib.suppress(OSError, AssertionError), connection:
                if kind == "another name":
                    SecurePeer(connection, context).read_rest()

    backend.listening.settimeout(None)
    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield backend
    finally:
        backend.listening.shutdown(socket.SHUT_RDWR)
        backend.close()
        serving.join()


@pytest.mark.parametrize("kind", ["another name", "leaves"])
def test_another_endpoint_is_tried_when_a_handshake_fails(wiring: Wiring, issued: Papers, kind: str) -> None:
    right = Backend()
    with impostor(issued, kind) as wrong:
        wires = wiring(
            "both",
            endpoints=[wrong.address, right.address],
            route={"retries": {"attempts": 1, "on": ["connect-failure"]}},
        )
        context = server_context(pair(issued, "backend"), issued.ca)
        for _ in range(2):
            client = wires.client()
            client.send(b"for the right one")
            upstream = wires.lab.keep(SecurePeer(right.accept().connection, context))
            assert upstream.read(17) == b"for the right one"
        assert wires.lab.sidecar.cluster("connect_failures") >= 1
        if kind == "another name":
            assert failed(wires.lab, "upstream", "name") >= 1
        wires.lab.tidy()
    right.close()


def test_nobody_else_is_there(wiring: Wiring, issued: Papers) -> None:
    with impostor(issued, "another name") as wrong:
        wires = wiring("out", endpoints=[wrong.address])
        assert wires.lab.turned_away()
        until(lambda: wires.lab.sidecar.flags() == {"UF": 1}, "it is counted")
        assert wires.lab.sidecar.cluster("connect_failures") == 1
        wires.lab.tidy()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("speaks", ["first", "never"])
def test_sessions_are_resumed(wiring: Wiring, issued: Papers, version: ssl.TLSVersion, speaks: str) -> None:
    wires = wiring("out")
    context = server_context(pair(issued, "backend"), issued.ca)
    context.minimum_version = context.maximum_version = version
    for turn in range(2):
        client = wires.client()
        upstream = wires.accept(context)
        assert isinstance(upstream, SecurePeer)
        assert upstream.tls.session_reused == (turn > 0)
        if speaks == "first":
            upstream.send(b"hello")
            assert client.read(5) == b"hello"
        client.half_close()
        assert upstream.read_rest() == b""
        upstream.half_close()
        client.expect_end()


# -- life ----------------------------------------------------------------------------------------------------


def test_an_idle_connection_ends(wiring: Wiring) -> None:
    wires = wiring("both", listener={"idle_timeout": "200ms"})
    client, upstream = wires.ends()
    client.send(b"x")
    assert upstream.read(1) == b"x"
    assert client.expect_reset() == b""
    assert upstream.expect_reset() == b""
    until(lambda: wires.lab.sidecar.flags() == {"SI": 1}, "it is counted")


def test_a_reload_touches_no_connection(wiring: Wiring) -> None:
    wires = wiring("both")
    client, upstream = wires.ends()
    listener = wires.lab.config["listeners"][0]
    wires.lab.sidecar.reload(wires.lab.config | {"listeners": [listener | {"max_connections": 9}]})
    client.send(b"still here")
    assert upstream.read(10) == b"still here"
    upstream.send(b"so am I")
    assert client.read(7) == b"so am I"


def test_a_drain_lets_it_end(tmp_path: Path, issued: Papers) -> None:
    with own_lab(tmp_path, **sections(issued, "both", {"drain_timeout": "30s", "access_log": LOG})) as lab:
        wires = Wires(lab, issued, "both")
        client, upstream = wires.ends()
        client.send(b"x")
        assert upstream.read(1) == b"x"
        lab.sidecar.terminate()
        until(lambda: not lab.sidecar.workers(), "it drains")
        client.send(b"still")
        assert upstream.read(5) == b"still"
        client.half_close()
        assert upstream.read_rest() == b""
        upstream.half_close()
        client.expect_end()
        assert lab.left() == 0
        assert '"response_flags":"-"' in lab.sidecar.words()
