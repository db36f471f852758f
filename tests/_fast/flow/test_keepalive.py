"""PING asks peers of HTTP/2 whether they are still there: who does not answer is given up, who does stays."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.h2_backend import H2Backend
from tests._fast.flow.h2_peer import H2Peer
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import until

PING, ACK = 6, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Who answers is not to lose by a slow machine; who does not is to be found at once
PATIENT = {"interval": "20ms", "timeout": "1h"}
HASTY = {"interval": "20ms", "timeout": "20ms"}
FAIR = {"interval": "20ms", "timeout": "1s"}
LOGGED = {"access_log": {"format": "json", "path": "/dev/stdout"}}


def upstream_lab(laboratory: Laboratory, keepalive: dict[str, str], **route: Any) -> Lab:
    cluster = {"protocol": "http2", "connection_pool": {"keepalive": keepalive}}
    return laboratory(cluster=cluster, route=route, **LOGGED)


def downstream_lab(laboratory: Laboratory, keepalive: dict[str, str], **listener: Any) -> Lab:
    return laboratory(listener={"keepalive": keepalive} | listener, **LOGGED)


@contextmanager
def lost(lab: Lab, side: str) -> Iterator[None]:
    """One more connection, at least, is counted as lost."""
    before = lab.sidecar.total(f"http2_lost_{side}")
    yield
    until(lambda: lab.sidecar.total(f"http2_lost_{side}") > before, "the connection is counted")


def pings(peer: Peer) -> int:
    """How many PINGs have come from the sidecar."""
    received = bytes(peer.received).removeprefix(PREFACE)
    count = at = 0
    while at + 9 <= len(received):
        count += received[at + 3] == PING and not received[at + 4] & ACK
        at += 9 + int.from_bytes(received[at : at + 3], "big")
    return count


def logged(lab: Lab, path: str) -> dict[str, Any]:
    lab.sidecar.wait_for_line(f'"{path}"')
    line: dict[str, Any] = json.loads(
        next(line for line in lab.sidecar.words().splitlines() if f'"{path}"' in line)
    )
    return line


# -- hosts --------------------------------------------------------------------------------------------------


def test_a_host_that_answers_stays(laboratory: Laboratory) -> None:
    """With a request under way, and without."""
    lab = upstream_lab(laboratory, PATIENT)
    client = lab.client()
    client.send(request(path="/slow"))
    host = H2Backend(lab.accept())
    seen = host.whole()
    while pings(host.peer) < 3:
        host.receive()
    host.answer(seen.stream, b"slow")
    assert client.read_response().body == b"slow"
    asked = pings(host.peer)
    while pings(host.peer) < asked + 3:
        host.receive()
    client.send(request())
    host.answer(host.whole(1).stream, b"again")
    assert client.read_response().body == b"again"
    assert not lab.backend.waiting()


def test_a_post_on_a_host_that_has_vanished_fails_and_is_sent_once(laboratory: Laboratory) -> None:
    lab = upstream_lab(laboratory, HASTY)
    client = lab.client()
    with lost(lab, "upstream"):
        client.send(request("POST", "/vanished", body=b"once"))
        vanished = lab.accept()
        got = client.read_response()
    assert got.status == 503 and b"upstream connection ended" in got.body
    assert logged(lab, "/vanished")["response_flags"] == "UC"
    assert vanished.expect_gone().count(b"once") == 1
    assert not lab.backend.waiting()


def test_a_get_on_a_host_that_has_vanished_is_tried_again(laboratory: Laboratory) -> None:
    retries = {"attempts": 1, "on": ["reset"], "backoff": {"base": "1ms", "max": "1ms"}}
    lab = upstream_lab(laboratory, FAIR, retries=retries)
    client = lab.client()
    with lost(lab, "upstream"):
        client.send(request(path="/again"))
        lab.accept()
        other = H2Backend(lab.accept())
    other.answer(other.whole().stream, b"well")
    assert client.read_response().body == b"well"


def test_an_idle_host_that_has_vanished_is_not_asked_for_anything(laboratory: Laboratory) -> None:
    """It is found while nobody waits for it; the next request begins on another connection."""
    lab = upstream_lab(laboratory, FAIR)
    client = lab.client()
    client.send(request(path="/first"))
    host = H2Backend(lab.accept())
    with lost(lab, "upstream"):
        host.answer(host.whole().stream, b"1")
        assert client.read_response().body == b"1"
    client.send(request("POST", "/second", body=b"x"))
    other = H2Backend(lab.accept())
    other.answer(other.whole().stream, b"2")
    assert client.read_response().body == b"2"


def test_an_answer_that_lies_in_the_socket_counts(laboratory: Laboratory) -> None:
    """A worker that was held up for longer than the host has reads before it judges."""
    lab = upstream_lab(laboratory, {"interval": "20ms", "timeout": "500ms"})
    client = lab.client()
    client.send(request(path="/held"))
    host = H2Backend(lab.accept())
    seen = host.whole()
    while pings(host.peer) == 0:
        host.receive()
    before = lab.sidecar.total("http2_lost_upstream")
    with lab.sidecar.asleep():
        end = time.monotonic() + 0.6
        host.answer(seen.stream, b"still")
        until(lambda: time.monotonic() > end, "the time for an answer is over")
    assert client.read_response().body == b"still"
    assert lab.sidecar.total("http2_lost_upstream") == before


# -- clients ------------------------------------------------------------------------------------------------


def test_a_client_that_answers_stays(laboratory: Laboratory) -> None:
    lab = downstream_lab(laboratory, PATIENT)
    client = H2Peer(lab.client())
    client.need(lambda: pings(client.peer) >= 3, "three PINGs while it is idle")
    stream = client.ask()
    upstream = lab.accept()
    upstream.read_request()
    asked = pings(client.peer)
    client.need(lambda: pings(client.peer) >= asked + 3, "three PINGs while it waits")
    upstream.send(response(b"well"))
    assert client.answer(stream).body == b"well"
    assert client.goaways == []


class Shy(H2Peer):
    """It says all that it has to say at once, when it is told to, and nothing more."""

    shy = True

    def flush(self) -> None:
        if not self.shy:
            super().flush()

    def speak(self) -> Peer:
        self.shy = False
        self.flush()
        return self.peer


def test_a_client_that_has_vanished_is_given_up(laboratory: Laboratory) -> None:
    lab = downstream_lab(laboratory, HASTY)
    client = Shy(lab.client())
    client.ask("/gone")
    with lost(lab, "downstream"):
        gone = client.speak()
        upstream = lab.accept()
        upstream.read_request()
        upstream.expect_gone()
    line = logged(lab, "/gone")
    assert (line["response_flags"], line["response_code"]) == ("DC", 0)
    gone.expect_gone()


def test_an_idle_client_that_has_vanished_is_closed(laboratory: Laboratory) -> None:
    lab = downstream_lab(laboratory, HASTY)
    with lost(lab, "downstream"):
        gone = Shy(lab.client()).speak()
        gone.expect_gone()
    assert pings(gone) == 1
    until(lambda: lab.sidecar.total("downstream_active") == 0, "its place is free")


def test_the_idle_time_ends_a_client_that_answers(laboratory: Laboratory) -> None:
    """PINGs do not keep alive what nobody uses."""
    lab = downstream_lab(laboratory, PATIENT, idle_timeout="300ms")
    client = H2Peer(lab.client())
    client.read_rest()
    assert [error for _, error in client.goaways] == [0, 0]
    assert pings(client.peer) >= 1


def test_a_client_is_not_asked_without_keepalive(laboratory: Laboratory) -> None:
    lab = laboratory(listener={"idle_timeout": "300ms"})
    client = H2Peer(lab.client())
    client.read_rest()
    # The one of the drain
    assert pings(client.peer) == 1


@pytest.mark.parametrize("side", ["listener", "cluster"])
def test_a_reload_changes_it(laboratory: Laboratory, side: str) -> None:
    lab = laboratory(cluster={"protocol": "http2"}, drain_timeout="7s" if side == "listener" else "8s")
    changed = json.loads(json.dumps(lab.config))
    if side == "listener":
        changed["listeners"][0]["keepalive"] = PATIENT
    else:
        changed["clusters"]["c"]["connection_pool"] = {"keepalive": PATIENT}
    lab.sidecar.reload(changed)
    client = H2Peer(lab.client())
    stream = client.ask()
    host = H2Backend(lab.accept())
    seen = host.whole()
    if side == "listener":
        client.need(lambda: pings(client.peer) >= 2, "PINGs")
    while side == "cluster" and pings(host.peer) < 2:
        host.receive()
    host.answer(seen.stream, b"x")
    assert client.answer(stream).body == b"x"
    lab.sidecar.reload(lab.config)
