"""What becomes of requests when the sidecar drains, reloads, loses a worker, or runs out of descriptors."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.crowd import Client, Server, check_all_answered, lasting_crowd
from tests._fast.flow.lab import Lab, make_config, own_lab
from tests._fast.flow.peers import Peer, request, response
from tests._fast.flow.sidecar import until


def begin(lab: Lab, sent: bytes) -> tuple[Peer, Peer]:
    client = lab.client()
    client.send(sent)
    upstream = lab.accept()
    upstream.read_head()
    return client, upstream


# -- drain ------------------------------------------------------------------------------------------------


def test_requests_under_way_are_finished(tmp_path: Path) -> None:
    """One waits for its answer, one is in the middle of it, one is being sent; an idle connection ends."""
    with own_lab(tmp_path, workers=2) as lab:
        waiting, waited_for = begin(lab, request("GET", "/waiting"))
        reading, read_from = begin(lab, request("GET", "/reading"))
        read_from.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        reading.read_head()
        sending, sent_to = begin(lab, request("POST", "/sending", b"Content-Length: 8") + b"half")
        idle, upstream = begin(lab, request())
        upstream.send(response())
        idle.read_response()
        lab.sidecar.terminate()
        idle.expect_end()
        lab.sidecar.wait_for_line("draining")
        waited_for.send(response(b"answer"))
        got = waiting.read_response()
        assert (got.body, got.one(b"connection")) == (b"answer", b"close")
        waiting.expect_end()
        read_from.send(b"full")
        assert reading.read(8) == b"halffull"
        reading.expect_end()
        sending.send(b"full")
        assert sent_to.read(8) == b"halffull"
        assert lab.sidecar.process.poll() is None
        sent_to.send(response(b"thanks"))
        assert sending.read_response().body == b"thanks"
        sending.expect_end()
        assert lab.left() == 0


def test_nobody_is_let_in_any_more(tmp_path: Path) -> None:
    with own_lab(tmp_path) as lab:
        client, upstream = begin(lab, request())
        lab.sidecar.terminate()
        lab.sidecar.wait_for_line("draining")
        until(lambda: lab.sidecar.stats.lane(0)["state"] == 2, "the worker drains")
        with pytest.raises(ConnectionError):
            lab.client()
        upstream.send(response())
        assert client.read_response().status == 200
        assert lab.left() == 0


@pytest.mark.parametrize("workers", [1, 3])
def test_connections_in_the_queue_are_served(tmp_path: Path, workers: int) -> None:
    """The kernel had let them in, and their requests were sent: no reset, but an answer."""
    with own_lab(tmp_path, workers=workers, routes=[{"response": {"body": "served"}}]) as lab:
        pids = lab.sidecar.workers()
        with lab.sidecar.asleep():
            clients = [lab.client() for _ in range(30)]
            for client in clients:
                client.send(request())
            lab.sidecar.terminate()
            lab.sidecar.wait_for_line("draining")
        for client in clients:
            assert client.read_response().body == b"served"
            client.expect_end()
        assert lab.left() == 0
        assert pids


def test_the_drain_ends_at_its_deadline(tmp_path: Path) -> None:
    with own_lab(tmp_path, drain_timeout="300ms") as lab:
        client, _ = begin(lab, request())
        lab.sidecar.terminate()
        client.expect_gone()
        assert lab.left() == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with own_lab(tmp_path, drain_timeout="60s") as lab:
        client, _ = begin(lab, request())
        lab.sidecar.terminate()
        lab.sidecar.wait_for_line("draining")
        lab.sidecar.terminate()
        client.expect_gone()
        assert lab.left() == 0


def test_a_tunnel_is_let_go_at_the_deadline(tmp_path: Path) -> None:
    with own_lab(tmp_path, drain_timeout="300ms") as lab:
        client = lab.client()
        client.send(request("GET", "/", b"Connection: upgrade", b"Upgrade: websocket"))
        upstream = lab.accept()
        upstream.read_head()
        upstream.send(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        client.read_head()
        lab.sidecar.terminate()
        lab.sidecar.wait_for_line("draining")
        client.send(b"still ")
        assert upstream.read(6) == b"still "
        client.expect_gone()
        assert lab.left() == 0


def test_workers_drain_when_the_master_has_died(tmp_path: Path) -> None:
    with own_lab(tmp_path, workers=2) as lab:
        client, upstream = begin(lab, request())
        workers = lab.sidecar.workers()
        os.kill(lab.sidecar.pid, signal.SIGKILL)
        lab.sidecar.process.wait()
        upstream.send(response(b"orphan"))
        assert client.read_response().body == b"orphan"
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the workers have left")


# -- reload -----------------------------------------------------------------------------------------------


def answering(lab: Lab, text: str, **more: Any) -> dict[str, Any]:
    """The lab's configuration with a route that answers so."""
    route = {"matches": [{"path": {"exact": "/version"}}], "response": {"body": text}}
    return make_config([lab.backend.address], routes=[route], **more)


def version(lab: Lab) -> bytes:
    client = lab.client()
    client.send(request("GET", "/version"))
    body = client.read_response().body
    client.close()
    return body


def test_a_request_under_way_ends_as_it_began(tmp_path: Path) -> None:
    """Under the old table: its header edits, its retries, its cluster, though all of them have gone."""
    edits = {"set": {"x-table": "old"}}
    retries = {"on": ["503"], "backoff": {"base": "1ms", "max": "1ms"}}
    with own_lab(tmp_path, route={"response_headers": edits, "retries": retries}) as lab:
        client, upstream = begin(lab, request())
        streaming, stream = begin(lab, request())
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        head = streaming.read_head()
        config = answering(lab, "new")
        config["routes"]["main"].pop()
        config["clusters"].clear()
        lab.sidecar.reload(config)
        assert version(lab) == b"new"
        upstream.send(response(status=b"503 Service Unavailable"))
        again = lab.accept()
        again.read_request()
        again.send(response(b"old"))
        got = client.read_response()
        assert (got.body, got.one(b"x-table")) == (b"old", b"old")
        client.send(request())
        assert client.read_response().status == 404, "the next request is of the new table"
        stream.send(b"1\r\nb\r\n0\r\n\r\n")
        streaming.read_chunks(head)
        assert head.body == b"ab"
        for peer in lab.peers:
            peer.close()
        lab.sidecar.wait_quiet()


def test_no_request_fails_by_a_reload(tmp_path: Path) -> None:
    """Under load, many times over; every answer is of one table or of the other."""
    with Server(body=b"backend") as server, own_lab(tmp_path, endpoints=[server.address], workers=2) as lab:

        def version(client: int) -> bytes:
            return request("GET", "/version" if client % 2 else "/", b"X-Client: %d" % client)

        lab.sidecar.reload(make_config([server.address], workers=2, routes=fixed("0")))
        with lasting_crowd(lab.sidecar.connect, 8, version) as clients:
            for number in range(1, 7):
                config = make_config([server.address], workers=2 + number % 2, routes=fixed(str(number)))
                lab.sidecar.reload(config)
            wait_for_answers(clients, 100)
        check_all_answered(clients)
        versions = [int(answer.body) for client in clients[1::2] for answer in client.answers]
        assert set(versions) == set(range(7))
        for client in clients[1::2]:
            own = [int(answer.body) for answer in client.answers]
            assert own == sorted(own), "an answer of an older table after one of a newer"


def fixed(text: str) -> list[dict[str, Any]]:
    return [{"matches": [{"path": {"exact": "/version"}}], "response": {"body": text}}]


def test_a_refused_reload_changes_nothing(tmp_path: Path) -> None:
    with own_lab(tmp_path) as lab:
        lab.sidecar.reload(answering(lab, "good"))
        broken = answering(lab, "bad")
        broken["routes"]["main"][0]["response"]["status"] = 1000
        lab.sidecar.write(broken)
        lab.sidecar.process.send_signal(signal.SIGHUP)
        lab.sidecar.wait_for_line("reload refused")
        assert version(lab) == b"good"


def test_endpoints_come_and_go(tmp_path: Path) -> None:
    """Connections to an endpoint that has gone end once they are idle, and finish what is under way."""
    with Server(body=b"new") as server, own_lab(tmp_path) as lab:
        idle, upstream = begin(lab, request())
        busy, serving = begin(lab, request())
        upstream.send(response())
        idle.read_response()
        lab.sidecar.reload(make_config([server.address]))
        idle.send(request())
        assert idle.read_response().body == b"new"
        upstream.expect_end()
        serving.send(response(b"finished"))
        assert busy.read_response().body == b"finished"
        serving.expect_end()
        busy.send(request())
        assert busy.read_response().body == b"new"


def test_a_listener_that_is_removed(tmp_path: Path) -> None:
    """Its requests under way are finished, its idle connections end, and it lets nobody in."""
    with own_lab(tmp_path) as lab:
        idle, upstream = begin(lab, request())
        busy, serving = begin(lab, request())
        upstream.send(response())
        idle.read_response()
        config = make_config([lab.backend.address])
        config["listeners"][0] |= {"name": "other", "address": "127.0.0.2:0"}
        lab.sidecar.reload(config)
        idle.expect_end()
        serving.send(response(b"finished"))
        got = busy.read_response()
        assert (got.body, got.one(b"connection")) == (b"finished", b"close")
        busy.expect_end()
        with pytest.raises(ConnectionError):
            lab.client()


# -- workers that die ---------------------------------------------------------------------------------


HELD_BY_REQUESTS = {
    "requests_active",
    "limit requests",
    "limit pending",
    "cluster requests",
    "downstream_active",
}


def wait_for_answers(clients: list[Client], count: int) -> None:
    """Until they have so many more together."""

    def answers() -> int:
        return sum(len(client.answers) for client in clients)

    wanted = answers() + count
    until(lambda: answers() >= wanted, "there is load")


def test_a_killed_worker_fails_only_what_it_held(tmp_path: Path) -> None:
    """Under load, several times: each client loses at most the request that was under way, and only that."""
    kills = 3
    with Server(body=b"ok") as server, own_lab(tmp_path, endpoints=[server.address], workers=4) as lab:
        with lasting_crowd(lab.sidecar.connect, 16, lambda client: request()) as clients:
            for killed in range(1, kills + 1):
                until(lambda: len(lab.sidecar.workers()) == 4, "all workers serve")
                wait_for_answers(clients, 200)
                os.kill(lab.sidecar.workers()[0], signal.SIGKILL)
                until(
                    lambda killed=killed: lab.sidecar.words().count("was ended by SIGKILL") == killed,
                    "the death is told",
                )
            until(lambda: len(lab.sidecar.workers()) == 4, "all workers serve")
        for client in clients:
            assert {answer.status for answer in client.answers} == {200}
            assert len(client.broken) <= kills
        until(lambda: not lab.sidecar.held().keys() & HELD_BY_REQUESTS, "what requests hold is free")


# -- spread -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False])
def test_long_lived_connections_spread_over_the_workers(tmp_path: Path, at_once: bool) -> None:
    """64 over four: none has more than half as much again as its share, nor less than half of it."""
    with own_lab(tmp_path, workers=4, routes=[{"response": {"body": "hello"}}]) as lab:
        clients = []
        for _ in range(64):
            clients.append(lab.client())
            if not at_once:
                clients[-1].send(request())
                clients[-1].read_response()
        for client in clients:
            client.send(request())
        for client in clients:
            assert client.read_response().body == b"hello"
        shares = [lab.sidecar.stats.lane(lane)["downstream_active"] for lane in range(4)]
        assert sum(shares) == 64
        assert min(shares) >= 8 and max(shares) <= 24, shares


# -- descriptors --------------------------------------------------------------------------------------


def test_it_recovers_from_a_lack_of_descriptors(tmp_path: Path) -> None:
    """More clients than descriptors: some wait, nobody crashes, and in the end all are served."""
    with own_lab(tmp_path, open_files=100, routes=fixed("here")) as lab:
        clients = [lab.client() for _ in range(150)]
        until(lambda: lab.sidecar.total("accept_failures") > 0, "descriptors are short")
        accepted = lab.sidecar.total("downstream_active")
        assert accepted < 100
        got = ask_version(clients[0])
        assert got == b"here"
        for client in clients[:accepted]:
            client.close()
        for client in clients[accepted:]:
            assert ask_version(client) == b"here"
            client.close()
        another, upstream = begin(lab, request())
        upstream.send(response(b"backends too"))
        assert another.read_response().body == b"backends too"
        for peer in lab.peers:
            peer.close()
        lab.sidecar.wait_quiet()


def ask_version(client: Peer) -> bytes:
    client.send(request("GET", "/version"))
    return client.read_response().body


def test_no_descriptor_for_a_backend_is_an_answer(tmp_path: Path) -> None:
    with own_lab(tmp_path, open_files=100) as lab:
        clients = [lab.client() for _ in range(150)]
        until(lambda: lab.sidecar.total("accept_failures") > 0, "descriptors are short")
        clients[0].send(request())
        assert clients[0].read_response().status == 503
        for client in clients:
            client.close()
        until(lambda: lab.sidecar.total("downstream_active") == 0, "all are closed")
        client, upstream = begin(lab, request())
        upstream.send(response(b"again"))
        assert client.read_response().body == b"again"
