"""Rate limits as clients meet them: whose bucket it is, what the answers say, what outlives a worker."""

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, Section
from tests._fast.flow.peers import Message, Peer, request
from tests._fast.flow.sidecar import until

HOUR = {"requests": 2, "per": "1h"}


def limited(*rules: Section, **route: object) -> Section:
    """A route that answers by itself, so that only the limits are in the way."""
    return {"route": {"backends": [], "response": {"body": "yes"}, "rate_limits": list(rules), **route}}


def ask(client: Peer, *fields: bytes, path: str = "/") -> Message:
    client.send(request("GET", path, *fields))
    return client.read_response()


def statuses(client: Peer, *fields: bytes, times: int = 3) -> list[int]:
    return [ask(client, *fields).status for _ in range(times)]


def test_the_answer_says_why_and_how_long(laboratory: Laboratory) -> None:
    lab = laboratory(**limited(HOUR | {"name": "hourly"}))
    client = lab.client()
    assert statuses(client, times=2) == [200, 200]
    answer = ask(client)
    assert answer.status == 429
    assert 1700 < int(answer.one(b"retry-after") or b"") <= 1800
    assert answer.one(b"ratelimit-policy") == b'"hourly";q=2;w=3600'
    remaining, _, reset = (answer.one(b"ratelimit") or b"").rpartition(b"=")
    assert remaining == b'"hourly";r=0;t'
    assert 1700 < int(reset) <= 1800
    assert b"rate limit" in (answer.one(b"proxy-status") or b"")
    until(lambda: lab.sidecar.flags() == {"RL": 1}, "it is counted")


def test_others_may_be_told_too(laboratory: Laboratory) -> None:
    always = {"requests": 3, "per": "1h", "report": "always"}
    lab = laboratory(**limited(always, {"requests": 100, "per": "1ms", "burst": 7, "name": "fast"}))
    client = lab.client()
    answers = [ask(client) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert {answer.one(b"ratelimit-policy") for answer in answers} == {b'"all:1h";q=3;w=3600'}
    states = [(answer.one(b"ratelimit") or b"").split(b";t=") for answer in answers]
    assert [state for state, _ in states] == [b'"all:1h";r=2', b'"all:1h";r=1', b'"all:1h";r=0']
    assert [int(reset) // 1200 for _, reset in states[:2]] == [1, 2]  # until all are there again, rounded up
    assert 1100 < int(states[2][1]) <= 1200  # until there is one
    refused = ask(client)
    assert refused.one(b"ratelimit-policy") == b'"all:1h";q=3;w=3600, "fast";q=100'


def test_answers_from_upstream_are_told_too(laboratory: Laboratory) -> None:
    lab = laboratory(route={"rate_limits": [HOUR | {"report": "always"}]})
    _, got = lab.exchange(request(), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert (got.one(b"ratelimit") or b"").startswith(b'"all:1h";r=1;t=')
    assert lab.backend.accepted == 1


def test_each_client_has_its_own(laboratory: Laboratory) -> None:
    lab = laboratory(**limited(HOUR | {"key": "client_address"}))
    for host in ("127.0.0.1", "127.0.0.2"):
        assert statuses(lab.client(source=host)) == [200, 200, 429]
    # a field that anybody can write does not make another client
    assert statuses(lab.client(), b"X-Forwarded-For: 10.0.0.1") == [429] * 3


def test_the_client_is_who_the_trusted_proxies_say(laboratory: Laboratory) -> None:
    lab = laboratory(**limited(HOUR | {"key": "client_address"}), listener={"trusted_hops": 2})
    client = lab.client()
    assert statuses(client, b"X-Forwarded-For: 9.9.9.9, 10.0.0.1, 10.0.0.2") == [200, 200, 429]
    # what the client wrote before it, lines, white space and ports make no difference
    assert (
        statuses(client, b"X-Forwarded-For: 8.8.8.8,10.0.0.1:7", b"x-forwarded-for:  10.0.0.3") == [429] * 3
    )
    assert statuses(client, b"X-Forwarded-For: 10.0.0.2, [10::1]:5,, 10.0.0.3") == [200, 200, 429]
    assert statuses(client, b"X-Forwarded-For: 10::1, 10.0.0.3") == [429] * 3
    # a list that is too short did not come through the two: it is the connection's
    assert statuses(client, b"X-Forwarded-For: 10.0.0.1") == [200, 200, 429]
    assert statuses(client) == [429] * 3


def test_clients_of_one_ipv6_network_are_one(laboratory: Laboratory) -> None:
    """A customer has a /64 at least, and so as many addresses as there are requests."""
    lab = laboratory(**limited(HOUR | {"key": "client_address"}), listener={"trusted_hops": 1})
    client = lab.client()
    asked = [ask(client, b"X-Forwarded-For: 2001:db8:0:7::%d" % number).status for number in range(1, 4)]
    assert asked == [200, 200, 429]
    assert statuses(client, b"X-Forwarded-For: 2001:DB8:0:7:0:0:0:9") == [429] * 3
    assert statuses(client, b"X-Forwarded-For: 2001:db8:0:8::1") == [200, 200, 429]
    for number in (1, 2):  # as IPv6 sockets name them
        assert statuses(client, b"X-Forwarded-For: ::ffff:10.0.0.%d" % number) == [200, 200, 429]


def test_the_networks_may_be_larger_or_smaller(laboratory: Laboratory) -> None:
    rule = HOUR | {"key": "client_address", "ipv4_prefix_length": 24, "ipv6_prefix_length": 128}
    lab = laboratory(**limited(rule), listener={"trusted_hops": 1})
    client = lab.client()
    asked = [ask(client, b"X-Forwarded-For: 10.0.0.%d" % number).status for number in range(1, 4)]
    assert asked == [200, 200, 429]
    assert statuses(client, b"X-Forwarded-For: 10.0.1.1") == [200, 200, 429]
    for number in (1, 2):
        assert statuses(client, b"X-Forwarded-For: 2001:db8::%d" % number) == [200, 200, 429]


def test_each_value_of_a_header_has_its_own(laboratory: Laboratory) -> None:
    lab = laboratory(**limited(HOUR | {"key": {"header": "X-Api-Key"}}))
    client = lab.client()
    assert statuses(client, b"x-api-key: a") == [200, 200, 429]
    assert statuses(client, b"X-API-KEY: b") == [200, 200, 429]
    assert statuses(client, b"x-api-key: a", b"x-api-key: b") == [200, 200, 429]
    # those without it are one
    assert statuses(client) == [200, 200, 429]
    assert statuses(lab.client()) == [429] * 3


def test_a_request_that_one_rule_refuses_costs_nothing_of_the_others(laboratory: Laboratory) -> None:
    by_key = {"requests": 1, "per": "1h", "key": {"header": "x-api-key"}}
    lab = laboratory(**limited({"requests": 3, "per": "1h"}, by_key))
    client = lab.client()
    assert statuses(client, b"x-api-key: a", times=10) == [200] + [429] * 9
    assert [ask(client, b"x-api-key: %d" % key).status for key in range(3)] == [200, 200, 429]


def test_a_listener_has_limits_too(laboratory: Laboratory) -> None:
    lab = laboratory(**limited(), listener={"rate_limits": [HOUR]})
    client = lab.client()
    assert [ask(client, path=f"/{number}").status for number in range(3)] == [200, 200, 429]


def test_tokens_come_back(laboratory: Laboratory) -> None:
    lab = laboratory(**limited({"requests": 1, "per": "100ms"}))
    client = lab.client()
    began = time.monotonic()
    taken = 0
    while taken < 6:
        taken += ask(client).status == 200
    assert time.monotonic() - began >= 0.5


def test_buckets_outlive_reloads_and_workers(tmp_path: Path) -> None:
    with closing(Lab(tmp_path, **limited({"requests": 4, "per": "1h"}))) as lab:
        assert statuses(lab.client(), times=1) == [200]
        lab.sidecar.reload(lab.config | {"drain_timeout": "1s"})
        assert statuses(lab.client(), times=1) == [200]
        os.kill(lab.sidecar.workers()[0], signal.SIGKILL)
        lab.expect_death()
        assert statuses(lab.client(), times=3) == [200, 200, 429]
        # another rule is another bucket
        lab.config["routes"]["main"][0]["rate_limits"][0]["requests"] = 1
        lab.sidecar.reload(lab.config)
        assert statuses(lab.client(), times=2) == [200, 429]
        lab.tidy()


def test_four_workers_together_never_let_more_through(laboratory: Laboratory) -> None:
    """Sixteen clients ask as fast as they can: in all, no more than the burst and what comes meanwhile."""
    rate, burst, seconds = 500, 20, 1.0
    rule = {"requests": rate, "per": "1s", "burst": burst}
    lab = laboratory(**limited(rule), workers=4)
    allowed = [0] * 16
    clients = [lab.client() for _ in allowed]
    began = time.monotonic()

    def hammer(number: int) -> None:
        while time.monotonic() < began + seconds:
            allowed[number] += ask(clients[number]).status == 200

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(len(allowed))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    assert sum(allowed) <= burst + rate * took
    assert sum(allowed) >= burst + rate * seconds * 0.5, "the limit lets hardly anybody through"
    used = [
        lane
        for lane in range(lab.sidecar.stats.lanes_used)
        if lab.sidecar.stats.lane(lane)["downstream_total"] > 0
    ]
    assert len(used) > 1, "one worker has served everybody"
    until(lambda: lab.sidecar.flags().get("RL", 0) > 0, "some were refused")
