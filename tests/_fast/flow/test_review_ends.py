"""How exchanges end when an end is late, long, or not the one that was expected."""

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import until
from tests._fast.flow.test_tunnels import open_tunnel

OWN_HOST = "127.7.7.7"  # nobody connects from here, so a port that was free stays so


def test_a_response_whose_first_chunk_is_bad_is_logged_with_its_fields(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """The log wants a field of a response that was dropped again, with its buffer."""
    path = tmp_path / "access.log"
    lab = laboratory(
        access_log={"path": str(path), "format": "text", "format_string": "%RESPONSE_CODE% %RESP(x-long)%\n"}
    )
    fields = b"".join(b"x-%d: y\r\n" % index for index in range(60))
    bad = b"HTTP/1.1 200 OK\r\n" + fields + b"x-long: gone\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
    _, got = lab.exchange(request(), bad)
    assert got.status == 502
    until(lambda: path.exists() and path.read_text() == "502 -\n", "the line is written")


def test_a_line_of_the_log_is_json_whatever_the_target(laboratory: Laboratory, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    lab = laboratory(access_log={"path": str(path), "format": "json"})
    long = "/" + "a" * 14000
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    for fields in ((), (b"user-agent: " + b"u" * 14000,), (b"user-agent: " + b'"' * 9000,)):
        lab.exchange(request("GET", long, *fields), chunked)
        lab.exchange(request("GET", long, *fields), response(b"x"))
    until(lambda: path.exists() and path.read_text().count("\n") == 6, "the lines are written")
    for line in path.read_text().splitlines():
        assert json.loads(line)["response_code"] == 200


def test_a_request_that_has_arrived_is_served_by_a_drain(laboratory: Laboratory) -> None:
    """Connections that wait for their turn, or that say their first words just now, are not idle."""
    lab = laboratory(drain_timeout="8s")
    with lab.sidecar.asleep():
        clients = [lab.client() for _ in range(5)]
        for client in clients:
            client.send(request())
        lab.sidecar.terminate()
        lab.sidecar.wait_for_line("draining")
    for _ in clients:
        upstream = lab.accept()
        upstream.read_request()
        upstream.send(response(b"served", b"Connection: close"))
    for client in clients:
        got = client.read_response()
        assert got.body == b"served"
        assert got.one(b"connection") == b"close"
        client.expect_end()


def answer(lab: Lab, client: Peer, body: bytes) -> Peer:
    """Have the client ask, and answer on a new connection, which is this one."""
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(body))
    return upstream


def test_who_has_just_asked_may_ask_again_in_a_drain(tmp_path: Path) -> None:
    """The next request may be on its way already; the answer to it says that it was the last."""
    with closing(Lab(tmp_path)) as lab:
        client = lab.client()
        idle = answer(lab, client, b"first")
        client.read_response()
        lab.sidecar.terminate()
        idle.expect_end()  # the worker has begun to drain
        answer(lab, client, b"last")
        got = client.read_response()
        assert (got.body, got.one(b"connection")) == (b"last", b"close")
        client.expect_end()


def test_an_answer_that_has_begun_leaves_room_for_another(tmp_path: Path) -> None:
    """Its head could not say that the connection would end."""
    with closing(Lab(tmp_path)) as lab:
        client = lab.client()
        client.send(request())
        upstream = lab.accept()
        upstream.read_request()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        assert client.read_until(b"\r\n\r\na").startswith(b"HTTP/1.1 200")
        other = lab.client()
        idle = answer(lab, other, b"other")
        other.read_response()
        lab.sidecar.terminate()
        idle.expect_end()  # the worker has begun to drain
        upstream.send(b"b")
        assert client.read(1) == b"b"
        answer(lab, client, b"last")
        got = client.read_response()
        assert (got.body, got.one(b"connection")) == (b"last", b"close")
        client.expect_end()


def test_a_target_as_long_as_may_be_is_normalised(laboratory: Laboratory) -> None:
    """Both forms of it together do not fit into one buffer."""
    lab = laboratory(listener={"max_request_head": "96KiB", "max_request_line": "96KiB"})
    path = "a" * 80000
    seen, got = lab.exchange(request("GET", f"/./{path}?{path[:9000]}"), response(b"x"))
    assert seen.start == f"GET /{path}?{path[:9000]} HTTP/1.1".encode()
    assert got.body == b"x"


@pytest.mark.parametrize("status", [b"403 Forbidden", b"503 Service Unavailable"])
def test_what_follows_a_refused_connect_is_no_request(laboratory: Laboratory, status: bytes) -> None:
    """A client may have sent the tunnel's first bytes in good hope (RFC 9110 section 9.3.6)."""
    lab = laboratory(route={"connect": True})
    client = lab.client()
    client.send(b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n" + request("GET", "/smuggled"))
    upstream = lab.accept()
    upstream.read_head()
    upstream.send(response(b"no", status=status))
    got = client.read_response("GET")
    assert got.body == b"no"
    assert got.one(b"connection") == b"close"
    client.expect_end()
    assert upstream.silent()


def test_a_new_connection_may_say_its_first_words_after_a_reload(laboratory: Laboratory) -> None:
    """Its listener has gone meanwhile, and another has its socket."""
    with socket.create_server((OWN_HOST, 0)) as probe:
        address = f"{OWN_HOST}:{probe.getsockname()[1]}"
    lab = laboratory(listener={"address": address})
    client = lab.client(OWN_HOST)
    until(lambda: lab.sidecar.total("downstream_active") == 1, "it is accepted")
    lab.sidecar.reload(lab.config | {"listeners": [{"name": "next", "address": address, "routes": "main"}]})
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"served", b"Connection: close"))
    got = client.read_response()
    assert (got.body, got.one(b"connection")) == (b"served", b"close")
    client.expect_end()
    client = lab.client(OWN_HOST)
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"again"))
    assert client.read_response().body == b"again"


def test_what_a_drain_cuts_off_is_told_from_what_is_complete(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    text = {"path": str(log), "format": "text", "format_string": "%RESPONSE_CODE% %RESPONSE_FLAGS%\n"}
    with closing(Lab(tmp_path, drain_timeout="300ms", access_log=text)) as lab:
        begun, waiting = lab.client(), lab.client()
        begun.send(b"GET / HTTP/1.0\r\n\r\n")
        upstream = lab.accept()
        upstream.read_request()
        upstream.send(b"HTTP/1.1 200 OK\r\n\r\nup to the end of the connection")
        begun.read_until(b"end of the connection")
        waiting.send(request())
        lab.accept().read_request()
        lab.sidecar.terminate()
        assert waiting.read_response().status == 503
        begun.expect_reset()
        lab.sidecar.process.wait(10)
    assert sorted(log.read_text().splitlines()) == ["200 DR", "503 DR"]


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_a_reset_through_a_tunnel_stays_a_reset(lab: Lab, who: str) -> None:
    """Where the end of the connection ends what is said, a cut must not look like an end."""
    client, upstream = open_tunnel(lab)
    client.send(b"a")
    assert upstream.read(1) == b"a"
    gone, left = (client, upstream) if who == "client" else (upstream, client)
    gone.reset()
    left.expect_reset()


def test_an_answer_of_our_own_does_not_wait_for_ever_for_a_reader(laboratory: Laboratory) -> None:
    """One that is larger than the sockets are, to a client who asks and does not read."""
    own = {"name": "own", "matches": [{"path": {"exact": "/own"}}], "response": {"body": "x" * (1 << 20)}}
    lab = laboratory(listener={"idle_timeout": "200ms"}, routes=[own])
    client = lab.client()
    client.send(request("GET", "/own") * 12)
    until(lambda: lab.sidecar.flags().get("SI"), "it is given up")
    until(lambda: lab.sidecar.total("downstream_active") == 0, "the connection is closed")
