"""Load shedding: new work is refused at once, what is at work is finished, then all is as before."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Message, Peer, request, response
from tests._fast.flow.sidecar import until

BIG = 1 << 20


def refused(client: Peer) -> Message:
    answer = client.read_response()
    assert answer.status == 503
    assert answer.one(b"retry-after") == b"1"
    assert answer.one(b"connection") == b"close"
    assert b"overloaded" in answer.body
    client.expect_end()
    return answer


def serve(lab: Lab, client: Peer) -> None:
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(response(b"yes", b"connection: close"))
    assert client.read_response().body == b"yes"
    upstream.close()


def test_a_connection_too_many_is_answered_and_closed(laboratory: Laboratory) -> None:
    lab = laboratory(overload={"max_connections": 2})
    first, second = lab.client(), lab.client()
    serve(lab, first)
    serve(lab, second)
    third = lab.client()
    third.send(request("POST", "/", body=b"some"))
    refused(third)
    assert lab.sidecar.stats.overloaded == {"connections": True, "memory": False}
    assert lab.sidecar.total("refused_connections") == 1
    until(lambda: lab.sidecar.flags() == {"OM": 1}, "it is counted")
    # those that have their place go on, and a place that is free is given away
    serve(lab, first)
    second.close()
    until(lambda: lab.sidecar.total("admitted") == 1, "one place is free")
    serve(lab, lab.client())
    assert lab.sidecar.stats.overloaded == {"connections": False, "memory": False}


def test_who_says_nothing_is_not_waited_for(laboratory: Laboratory) -> None:
    lab = laboratory(overload={"max_connections": 1})
    first = lab.client()
    serve(lab, first)
    silent = lab.client()
    began = time.monotonic()
    silent.expect_gone()
    assert time.monotonic() - began >= 0.9
    assert lab.sidecar.total("shed_active") == 0


def test_four_workers_together_admit_no_more(laboratory: Laboratory) -> None:
    lab = laboratory(
        workers=4, overload={"max_connections": 10}, route={"backends": [], "response": {"body": "yes"}}
    )
    clients = [lab.client() for _ in range(40)]
    for client in clients:
        client.send(request())
    statuses = [client.read_response().status for client in clients]
    assert statuses.count(200) <= 10
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 9, "racing workers may refuse at the very edge, not more"


def test_places_of_a_killed_worker_are_free(tmp_path: Path) -> None:
    with closing(Lab(tmp_path, overload={"max_connections": 1})) as lab:
        serve(lab, lab.client())
        os.kill(lab.sidecar.workers()[0], signal.SIGKILL)
        lab.expect_death()
        until(lambda: lab.sidecar.total("admitted") == 0, "its places are free")
        serve(lab, lab.client())
        lab.tidy()


def test_a_reload_brings_a_limit_and_takes_it_away(tmp_path: Path) -> None:
    with closing(Lab(tmp_path)) as lab:
        old = [lab.client(), lab.client()]
        for client in old:
            serve(lab, client)
        lab.sidecar.reload(lab.config | {"overload": {"max_connections": 1}})
        client = lab.client()
        client.send(request())
        refused(client)
        serve(lab, old[0])  # what is here stays
        lab.sidecar.reload(lab.config)
        serve(lab, lab.client())
        lab.tidy()


def test_memory(laboratory: Laboratory) -> None:
    """Clients that send heads without end occupy buffers; a new request is refused until they have gone."""
    lab = laboratory(
        overload={"max_memory": BIG}, listener={"request_head_timeout": "60s", "max_request_head": "96KiB"}
    )
    patient = lab.client()
    serve(lab, patient)
    greedy = []
    while lab.sidecar.total("memory") < BIG:
        greedy.append(lab.client())
        lab.deliver(greedy[-1], b"GET / HTTP/1.1\r\nx-long: " + b"x" * 40_000)
        assert len(greedy) < 200
    newcomer = lab.client()
    newcomer.send(request())
    refused(newcomer)
    assert lab.sidecar.stats.overloaded["memory"]
    patient.send(request())  # new work on an old connection
    refused(patient)
    assert lab.sidecar.total("refused_requests") == 2
    for client in greedy:
        client.close()
    until(lambda: lab.sidecar.total("memory") < BIG // 2, "the memory is free")
    serve(lab, lab.client())
    assert not lab.sidecar.stats.overloaded["memory"]


def test_what_is_at_work_is_finished_in_an_overload(laboratory: Laboratory) -> None:
    lab = laboratory(overload={"max_memory": BIG}, listener={"request_head_timeout": "60s"})
    working = lab.client()
    working.send(request())
    upstream = lab.accept()
    upstream.read_request()
    greedy = []
    while not lab.sidecar.stats.overloaded["memory"]:
        client = lab.client()
        client.send(b"GET / HTTP/1.1\r\nx-long: " + b"x" * 40_000)
        greedy.append(client)
        probe = lab.client()
        probe.send(request("GET", "/", b"X-Probe: 1"))
        until(lambda probe=probe: not probe.silent() or lab.backend.waiting(), "it is refused or passed on")
        if lab.backend.waiting():
            lab.accept().close()
        probe.close()
        assert len(greedy) < 200
    upstream.send(response(b"late", b"connection: close"))
    assert working.read_response().body == b"late"
    upstream.close()
