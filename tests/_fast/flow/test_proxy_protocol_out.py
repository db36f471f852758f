"""PROXY headers to endpoints: the first that a connection says, and only one client's requests behind it."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.papers import Papers, server_context
from tests._fast.flow.peers import PATIENCE, Peer, request, response
from tests._fast.flow.sidecar import until
from tests._fast.http.openings import proxy_header
from tests.programs import haproxy, nginx

VERSIONS = ["v1", "v2"]


def introduced(upstream: Peer) -> tuple[str, int, str, int] | None:
    """Source and destination that the header names, which is taken off the connection; None: nobody."""
    upstream.need(lambda: proxy_header(bytes(upstream.unread)) != "more", "a PROXY header")
    found = proxy_header(bytes(upstream.unread))
    assert isinstance(found, tuple), found
    length, family, source, source_port, destination, destination_port = found
    upstream.take(length)
    if family == 0:
        return None
    kind = {4: socket.AF_INET, 6: socket.AF_INET6}[family]
    return socket.inet_ntop(kind, source), source_port, socket.inet_ntop(kind, destination), destination_port


def ends_of(client: Peer) -> tuple[str, int, str, int]:
    return *client.connection.getsockname()[:2], *client.connection.getpeername()[:2]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_comes_before_the_request(laboratory: Laboratory, version: str) -> None:
    lab = laboratory(cluster={"proxy_protocol": version})
    client = lab.client()
    client.send(request("POST", "/", body=b"x" * 100_000))
    upstream = lab.accept()
    assert introduced(upstream) == ends_of(client)
    assert upstream.read_request().body == b"x" * 100_000
    upstream.send(response(b"yes"))
    assert client.read_response().body == b"yes"


def test_raw_connections(laboratory: Laboratory) -> None:
    """Also where nobody says anything, or where the server speaks first."""
    lab = laboratory(listener={"protocol": "tcp"}, cluster={"proxy_protocol": "v2"})
    client = lab.client()
    upstream = lab.accept()
    assert introduced(upstream) == ends_of(client)
    upstream.send(b"220 ready\r\n")
    assert client.read_line() == b"220 ready"
    client.send(b"hello")
    assert upstream.read(5) == b"hello"
    client.half_close()
    assert upstream.read_rest() == b""
    upstream.send(b"bye")
    upstream.close()
    assert client.read_rest() == b"bye"


def test_a_raw_connection_that_ends_before_it_has_said_anything(laboratory: Laboratory) -> None:
    """Its end waits behind the header, and is passed on all the same: nothing of it stays."""
    lab = laboratory(listener={"protocol": "tcp"}, cluster={"proxy_protocol": "v2"})
    with lab.sidecar.asleep():
        client = lab.client()
        client.half_close()
    upstream = lab.accept()
    ends = ends_of(client)
    assert introduced(upstream) == ends
    assert upstream.read_rest() == b""
    upstream.close()
    client.expect_end()
    lab.sidecar.wait_for("connections_active", 0)
    assert lab.sidecar.flags() == {}


def test_a_connection_is_used_again_for_the_same_client_alone(laboratory: Laboratory) -> None:
    lab = laboratory(cluster={"proxy_protocol": "v1"})
    first, second = lab.client(), lab.client()
    of_client: dict[int, Peer] = {}
    for _ in range(3):
        for client in (first, second):
            client.send(request())
            upstream = of_client.get(id(client))
            if upstream is None:
                upstream = of_client[id(client)] = lab.accept()
                assert introduced(upstream) == ends_of(client)
            assert upstream.read_request().one(b"x-forwarded-for") == b"127.0.0.1"
            upstream.send(response(b"yes"))
            assert client.read_response().body == b"yes"
            until(lambda: lab.sidecar.endpoint("connections_idle") == len(of_client), "it is in the pool")
    assert lab.sidecar.endpoint("connections_active") == 2


def test_a_waiter_gets_a_place_and_not_a_connection(laboratory: Laboratory) -> None:
    lab = laboratory(cluster={"proxy_protocol": "v1", "circuit_breaker": {"max_connections": 1}})
    first, second = lab.client(), lab.client()
    first.send(request())
    upstream = lab.accept()
    assert introduced(upstream) == ends_of(first)
    upstream.read_request()
    second.send(request())
    until(lambda: lab.sidecar.limits()["pending"] == 1, "the other waits")
    upstream.send(response(b"one"))
    assert first.read_response().body == b"one"
    upstream.expect_end()
    upstream = lab.accept()
    assert introduced(upstream) == ends_of(second)
    upstream.read_request()
    upstream.send(response(b"two"))
    assert second.read_response().body == b"two"


def test_each_kind_is_used_only_where_it_is_wanted(laboratory: Laboratory) -> None:
    """Those from before a reload stay in the pool, and are good again once the option is taken back."""
    lab = laboratory(cluster={"pending_timeout": "3s"})
    client = lab.client()

    def ask(upstream: Peer | None, *, wanted: bool) -> Peer:
        client.send(request())
        upstream = upstream or lab.accept()
        if wanted:
            assert introduced(upstream) == ends_of(client)
        upstream.read_request()
        upstream.send(response(b"yes"))
        assert client.read_response().body == b"yes"
        until(lambda: lab.sidecar.endpoint("connections_idle") > 0, "it is in the pool")
        return upstream

    plain = ask(None, wanted=False)
    cluster = lab.config["clusters"]["c"]
    lab.sidecar.reload(lab.config | {"clusters": {"c": cluster | {"proxy_protocol": "v1"}}})
    other = ask(None, wanted=True)
    lab.sidecar.reload(lab.config)
    ask(plain, wanted=False)
    other.expect_end()


def test_before_the_client_hello(laboratory: Laboratory, papers: Papers) -> None:
    context = server_context(papers.issue("server", "DNS:shop.example"))
    lab = laboratory(cluster={"proxy_protocol": "v1", "tls": {"ca": papers.ca, "sni": "shop.example"}})
    client = lab.client()
    client.send(request())
    connection, _ = lab.backend.listening.accept()
    connection.settimeout(PATIENCE)
    header = b""
    while proxy_header(header) == "more":
        header += connection.recv(1)
    found = proxy_header(header)
    assert isinstance(found, tuple)
    assert (socket.inet_ntoa(found[2]), found[3]) == ends_of(client)[:2]
    upstream = lab.keep(Peer(context.wrap_socket(connection, server_side=True)))
    upstream.read_request()
    upstream.send(response(b"yes"))
    assert client.read_response().body == b"yes"


def test_what_one_proxy_was_told_the_next_one_is_told(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"proxy_protocol": {}}, cluster={"proxy_protocol": "v2"})
    for line, ends in (
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 5001 443\r\n", ("192.0.2.7", 5001, "198.51.100.1", 443)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 5001 443\r\n", ("2001:db8::7", 5001, "2001:db8::1", 443)),
    ):
        client = lab.client()
        client.send(line + request())
        upstream = lab.accept()
        assert introduced(upstream) == ends
        upstream.read_request()
        upstream.send(response(b"yes"))
        assert client.read_response().body == b"yes"


def test_who_has_no_address_is_nobody(laboratory: Laboratory, tmp_path: Path) -> None:
    place = tmp_path / "in.sock"
    lab = laboratory(
        cluster={"proxy_protocol": "v1"},
        more_listeners=[{"name": "unix", "address": f"unix:{place}", "routes": "main"}],
    )
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    connection.connect(str(place))
    client = lab.keep(Peer(connection))
    client.send(request())
    upstream = lab.accept()
    assert introduced(upstream) is None
    upstream.read_request()
    upstream.send(response(b"yes"))
    assert client.read_response().body == b"yes"


@pytest.mark.parametrize(
    ("version", "check"), [("v1", {"tcp": {}}), ("v2", {"http": {"path": "/healthy"}})], ids=["tcp", "http"]
)
def test_health_checks_introduce_themselves(
    laboratory: Laboratory, version: str, check: dict[str, object]
) -> None:
    lab = laboratory(cluster={"proxy_protocol": version, "health_checks": [check | {"interval": "100ms"}]})
    upstream = lab.accept()
    assert introduced(upstream) is None
    if "http" in check:
        assert upstream.read_request().start == b"GET /healthy HTTP/1.1"
        upstream.send(response(b"yes"))
    upstream.close()
    until(lambda: lab.sidecar.cluster("requests_total") == 0, "nobody else asks")


def asked_three_times(lab: Lab) -> None:
    """The endpoint answers with whom it was told of: the client itself."""
    client = lab.client()
    for _ in range(3):
        client.send(request())
        assert client.read_response().body == b"%s:%d" % (b"127.0.0.1", ends_of(client)[1])


HAPROXY = """accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port]"
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_haproxy_understands_it(
    laboratory: Laboratory, program: Callable[[str], str], tmp_path: Path, version: str
) -> None:
    with haproxy(program("haproxy"), tmp_path, "http", HAPROXY) as (host, port):
        asked_three_times(laboratory(endpoints=[f"{host}:{port}"], cluster={"proxy_protocol": version}))


NGINX = """
    server {{
        listen unix:{folder}/nginx.sock proxy_protocol;
        location / {{ return 200 "$proxy_protocol_addr:$proxy_protocol_port"; }}
    }}
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_nginx_understands_it(
    laboratory: Laboratory, program: Callable[[str], str], tmp_path: Path, version: str
) -> None:
    with nginx(program("nginx"), tmp_path, NGINX.format(folder=tmp_path)):
        asked_three_times(
            laboratory(endpoints=[f"unix:{tmp_path}/nginx.sock"], cluster={"proxy_protocol": version})
        )
