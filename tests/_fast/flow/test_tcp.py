"""Raw TCP: bytes as they are, half-closes kept, routed at once or by the name in a ClientHello."""

import json
import os
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Backend, Peer, Unconnectable
from tests._fast.flow.sidecar import until
from tests._fast.http.test_client_hello import hello_of

RAW = {"protocol": "tcp"}


@pytest.fixture
def raw(laboratory: Laboratory) -> Lab:
    return laboratory(listener=RAW)


def test_bytes_go_both_ways(raw: Lab) -> None:
    client = raw.client()
    upstream = raw.accept()
    for index in range(50):
        client.send(b"ping %d\x00" % index)
        assert upstream.read(len(b"ping %d\x00" % index)) == b"ping %d\x00" % index
        upstream.send(b"\xffpong %d" % index)
        assert client.read(len(b"\xffpong %d" % index)) == b"\xffpong %d" % index


def test_the_server_may_speak_first(raw: Lab) -> None:
    client = raw.client()
    upstream = raw.accept()
    upstream.send(b"220 ready\r\n")
    assert client.read_line() == b"220 ready"


def test_what_looks_like_http_is_not_touched(raw: Lab) -> None:
    client = raw.client()
    sent = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz"
    client.send(sent)
    assert raw.accept().read(len(sent)) == sent


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_half_closes_are_kept(raw: Lab, first: str) -> None:
    client = raw.client()
    upstream = raw.accept()
    one, other = (client, upstream) if first == "client" else (upstream, client)
    one.send(b"the question")
    one.half_close()
    assert other.read_rest() == b"the question"
    other.send(b"a long answer")
    assert one.read(13) == b"a long answer"
    other.close()
    one.expect_end()


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_a_reset_is_passed_on(raw: Lab, who: str) -> None:
    client = raw.client()
    upstream = raw.accept()
    client.send(b"x")
    assert upstream.read(1) == b"x"
    upstream.send(b"y")
    assert client.read(1) == b"y"
    gone, left = (client, upstream) if who == "client" else (upstream, client)
    gone.reset()
    left.expect_reset()


def test_a_client_that_sends_all_and_leaves_before_there_is_a_connection(raw: Lab) -> None:
    with raw.sidecar.asleep():
        client = raw.client()
        client.send(b"all that I have to say")
        client.half_close()
    upstream = raw.accept()
    assert upstream.read_rest() == b"all that I have to say"
    upstream.send(b"heard")
    upstream.close()
    assert client.read_rest() == b"heard"


def test_many_bytes_both_ways_at_once(raw: Lab) -> None:
    client = raw.client()
    upstream = raw.accept()
    data = os.urandom(4 << 20)
    with ThreadPoolExecutor(3) as pool:
        sending = [pool.submit(client.send, data), pool.submit(upstream.send, data[::-1])]
        reading = pool.submit(upstream.read, len(data))
        assert client.read(len(data)) == data[::-1]
        assert reading.result() == data
        for each in sending:
            each.result()


def test_it_is_logged_and_counted(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW, access_log={"path": "/dev/stdout", "format": "json"})
    client = lab.client()
    upstream = lab.accept()
    client.send(b"12345")
    assert upstream.read(5) == b"12345"
    upstream.send(b"1234567")
    upstream.close()
    assert client.read_rest() == b"1234567"
    client.close()
    lab.sidecar.wait_for_line('"protocol":"TCP"')
    line = json.loads(next(line for line in lab.sidecar.words().splitlines() if line.startswith("{")))
    assert (line["bytes_received"], line["bytes_sent"], line["response_code"]) == (5, 7, 0)
    assert line["upstream_host"] == lab.backend.address
    assert (line["route_name"], line["response_flags"]) == ("all", "-")
    assert line["method"] is None and line["path"] is None


def test_nobody_is_there(laboratory: Laboratory) -> None:
    nobody = Unconnectable(blackhole=False)
    lab = laboratory(endpoints=[nobody.address], listener=RAW)
    with pytest.raises(ConnectionResetError):  # it may come before `connect` returns
        lab.client().read_rest()
    until(lambda: lab.sidecar.flags() == {"UF": 1}, "it is counted")
    nobody.close()


def test_another_host_is_tried_where_the_route_says_so(laboratory: Laboratory) -> None:
    nobody = Unconnectable(blackhole=False)
    backend = Backend()
    lab = laboratory(
        endpoints=[nobody.address, backend.address],
        listener=RAW,
        route={"retries": {"attempts": 1, "on": ["connect-failure"]}},
    )
    for _ in range(4):
        client = lab.client()
        client.send(b"hello")
        upstream = lab.keep(backend.accept())
        assert upstream.read(5) == b"hello"
    backend.close()
    nobody.close()


def test_an_idle_connection_ends(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW | {"idle_timeout": "200ms"})
    client = lab.client()
    upstream = lab.accept()
    client.send(b"x")
    assert upstream.read(1) == b"x"
    client.expect_gone()
    upstream.expect_gone()
    until(lambda: lab.sidecar.flags() == {"SI": 1}, "it is counted")


def test_a_connection_waits_for_its_place(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW, cluster={"circuit_breaker": {"max_connections": 1}})
    first = lab.client()
    upstream = lab.accept()
    second = lab.client()
    second.send(b"2")
    until(lambda: lab.sidecar.total("downstream_active") == 2, "both are there")
    assert not lab.backend.waiting()
    first.close()
    upstream.expect_end()
    upstream.close()
    assert lab.accept().read(1) == b"2"


def test_a_used_http_connection_is_not_handed_to_a_raw_one(laboratory: Laboratory) -> None:
    lab = laboratory(
        cluster={"circuit_breaker": {"max_connections": 1}},
        more_listeners=[{"name": "raw", "address": "127.0.0.2:0", "protocol": "tcp", "routes": "main"}],
    )
    web = lab.client()
    web.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream = lab.accept()
    upstream.read_request()
    client = lab.client("127.0.0.2")
    client.send(b"raw")
    until(lambda: lab.sidecar.total("downstream_active") == 2, "both are there")
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert web.read_response().status == 200
    upstream.expect_end()
    assert lab.accept().read(3) == b"raw"


def test_a_reload_touches_no_connection(raw: Lab) -> None:
    client = raw.client()
    upstream = raw.accept()
    raw.sidecar.reload(raw.config | {"listeners": [raw.config["listeners"][0] | {"max_connections": 9}]})
    client.send(b"still here")
    assert upstream.read(10) == b"still here"
    upstream.send(b"so am I")
    assert client.read(7) == b"so am I"


# -- by the name in a ClientHello ------------------------------------------------------------------------


@pytest.fixture
def named(laboratory: Laboratory) -> tuple[Lab, Backend]:
    """Connections for *.b.test go to the other backend, those without a name or to others to the lab's."""
    other = Backend()
    lab = laboratory(
        listener=RAW,
        routes=[{"name": "b", "hostnames": ["*.b.test"], "backends": [{"cluster": "b"}]}],
        more_clusters={"b": {"endpoints": [{"address": other.address}]}},
    )
    return lab, other


def test_a_name_chooses_the_route(named: tuple[Lab, Backend]) -> None:
    lab, other = named
    hello = hello_of("www.B.test")
    client = lab.client()
    client.send(hello)
    assert lab.keep(other.accept()).read(len(hello)) == hello
    hello = hello_of("www.c.test")
    client = lab.client()
    client.send(hello)
    assert lab.accept().read(len(hello)) == hello


def test_a_hello_byte_by_byte(named: tuple[Lab, Backend]) -> None:
    lab, other = named
    hello = hello_of("x.b.test")
    client = lab.client()
    for at in range(0, len(hello), 40):
        lab.deliver(client, hello[at : at + 40])
    assert lab.keep(other.accept()).read(len(hello)) == hello


@pytest.mark.parametrize("first", [b"SSH-2.0-x\r\n", b"\x16\x03\x01\x00\x05\x02\x00\x00\x00\x00"])
def test_what_is_no_hello_has_no_name(named: tuple[Lab, Backend], first: bytes) -> None:
    lab, _ = named
    client = lab.client()
    client.send(first)
    assert lab.accept().read(len(first)) == first


def test_who_says_nothing_in_time_has_no_name(laboratory: Laboratory) -> None:
    lab = laboratory(
        listener=RAW | {"request_head_timeout": "100ms"},
        routes=[{"name": "b", "hostnames": ["b.test"], "backends": [{"cluster": "c"}]}],
    )
    client = lab.client()
    upstream = lab.accept()
    upstream.send(b"220 ready\r\n")
    assert client.read_line() == b"220 ready"


def test_who_leaves_before_its_name_is_known(named: tuple[Lab, Backend]) -> None:
    lab, _ = named
    client = lab.client()
    client.send(hello_of("x.b.test")[:50])
    client.close()
    until(lambda: lab.sidecar.total("downstream_active") == 0, "it is closed")


def test_a_name_that_no_route_takes(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW, route={"hostnames": ["a.test"]})
    client = lab.client()
    client.send(hello_of("b.test"))
    client.expect_reset()
    until(lambda: lab.sidecar.flags() == {"NR": 1}, "it is counted")


def test_tls_through_it_is_what_it_was(named: tuple[Lab, Backend], certificate: tuple[str, str]) -> None:
    """The handshake is between the client and the backend; the proxy only looks at its beginning."""
    lab, other = named
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    client = ssl.create_default_context(cafile=certificate[0])

    def serve() -> bytes:
        with server.wrap_socket(other.accept().connection, server_side=True) as secured:
            return secured.recv(100)

    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve)
        with client.wrap_socket(lab.sidecar.connect(), server_hostname="x.b.test") as secured:
            secured.sendall(b"secret")
            assert served.result() == b"secret"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for x.b.test and its key, by the openssl program."""
    folder = tmp_path_factory.mktemp("certificate")
    names = str(folder / "certificate.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=x.b.test", "-addext", "subjectAltName=DNS:x.b.test", "-days", "2",
         "-out", names[0], "-keyout", names[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return names


def test_peers_are_told_apart(raw: Lab) -> None:
    """Two connections at once do not mix."""
    pairs: list[tuple[Peer, Peer]] = []
    for _ in range(8):
        client = raw.client()
        pairs.append((client, raw.accept()))
    for index, (client, _) in enumerate(pairs):
        client.send(b"%d" % index)
    for index, (_, upstream) in enumerate(pairs):
        assert upstream.read(1) == b"%d" % index
