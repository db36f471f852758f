"""`max_connections` of a listener over four workers: never one too many, and no place is lost."""

import os
import signal

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab
from tests._fast.flow.peers import Peer, request
from tests._fast.flow.sidecar import until

MOST = 3
OTHER = "127.0.0.2"
LISTENERS = [
    {"name": "web", "address": "127.0.0.1:0", "routes": "main", "max_connections": MOST},
    {"name": "other", "address": f"{OTHER}:0", "routes": "main", "max_connections": 1},
]
ANSWER = [
    {"name": "fixed", "matches": [{"path": {"exact": "/"}}], "response": {"status": 200, "body": "yes"}}
]


@pytest.fixture
def lab(laboratory: Laboratory) -> Lab:
    return laboratory(workers=4, listeners=LISTENERS, routes=ANSWER)


def let_in(client: Peer) -> bool:
    """Whether it is answered, rather than closed."""
    try:
        client.send(request())
        until(lambda: not client.silent(), "it is answered or closed")
        return client.fill() and client.read_response().status == 200
    except ConnectionError:
        return False


def all_gone(lab: Lab, *clients: Peer) -> None:
    for client in clients:
        client.close()
    until(lambda: lab.sidecar.total("downstream_active") == 0, "they are closed")


def test_workers_that_accept_at_once_never_have_more_than_the_limit(lab: Lab) -> None:
    overflow = lab.sidecar.total("accept_overflow")
    for turn in range(40):
        with lab.sidecar.asleep():
            clients = [lab.client() for _ in range(4 * MOST)]
            for client in clients:
                client.send(request())
        inside = sum(answered(client) for client in clients)
        assert 1 <= inside <= MOST, f"turn {turn}"
        all_gone(lab, *clients)
    assert lab.sidecar.total("accept_overflow") >= overflow + 40 * 3 * MOST
    clients = [lab.client() for _ in range(MOST)]
    assert all(map(let_in, clients))
    all_gone(lab, *clients)


def answered(client: Peer) -> bool:
    """Whether what it has sent is answered; else its connection is closed, or reset for what it has sent."""
    try:
        return client.fill() and client.read_response().status == 200
    except ConnectionError:
        return False


def test_each_listener_has_a_limit_of_its_own(lab: Lab) -> None:
    other = lab.client(OTHER)
    assert let_in(other)
    clients = [lab.client() for _ in range(MOST)]
    assert all(map(let_in, clients))
    assert not let_in(lab.client())
    assert not let_in(lab.client(OTHER))
    all_gone(lab, other, *clients)


def test_the_places_of_a_killed_worker_are_free_again(lab: Lab) -> None:
    clients = [lab.client() for _ in range(MOST)]
    assert all(map(let_in, clients))
    killed = lab.sidecar.workers()
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
        lab.deaths += 1
    until(lambda: len(set(lab.sidecar.workers()) - set(killed)) == 4, "other workers have begun")
    until(lambda: lab.sidecar.total("downstream_active") == 0, "the lanes are cleared")
    clients = [lab.client() for _ in range(MOST)]
    assert all(map(let_in, clients))
    all_gone(lab, *clients)
