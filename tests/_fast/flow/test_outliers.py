"""Outlier detection with real sidecars and several workers: what a bad endpoint costs, and its way back."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.crowd import Server, crowd
from tests._fast.flow.lab import make_config
from tests._fast.flow.peers import Message, Peer, Unconnectable, request, response
from tests._fast.flow.sidecar import Sidecar, until
from tulle._fast.base import figures

WORKERS = 4
LONG = "1h"
BAD = response(b"bad", status=b"500 Internal Server Error")
Answer = Callable[[bytes, int], bytes]


class Ward:
    """A sidecar of several workers, before servers whose answers the test changes as it goes."""

    def __init__(self, folder: Path, names: str, workers: int = WORKERS, **policy: Any) -> None:
        self.answers: dict[str, bytes] = {}
        self.servers = {name: Server(self._answer(name)) for name in names}
        self.policy = policy
        self.workers = workers
        self.stack = ExitStack()
        for server in self.servers.values():
            self.stack.enter_context(server)
        self.sidecar = Sidecar(self.config(), folder)
        self.stack.callback(self.sidecar.stop)

    def _answer(self, name: str) -> Answer:
        return lambda start, carried: self.answers.get(name, response(name.encode()))

    def config(self, names: str | None = None, policy: dict[str, Any] | None = None) -> dict[str, Any]:
        cluster = {"outlier_detection": self.policy if policy is None else policy}
        kept = self.servers if names is None else names
        return make_config(
            [self.servers[name].address for name in kept],
            workers=self.workers,
            cluster=cluster if cluster["outlier_detection"] != {"off": True} else {},
            route={"retries": {"attempts": 0}},
        )

    def __enter__(self) -> "Ward":
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.close()

    # -- what clients see ---------------------------------------------------------------------------------

    def ask(self, count: int, clients: int = 16) -> list[Message]:
        """So many answers, asked for by several clients at once, each on a connection that it keeps."""
        share = count // clients

        def requests(index: int) -> Iterator[bytes]:
            return iter([request()] * share)

        with crowd(self.sidecar.connect, clients, requests) as asking:
            pass
        assert not [error for client in asking for error in client.broken]
        return [answer for client in asking for answer in client.answers]

    def one(self) -> Message:
        """A request on a connection of its own."""
        client = Peer(self.sidecar.connect())
        client.send(request())
        try:
            return client.read_response()
        finally:
            client.close()

    def seen(self, name: str) -> int:
        return self.servers[name].seen[b"/"]

    # -- what the sidecar knows ---------------------------------------------------------------------------

    @property
    def out(self) -> int:
        """How many endpoints are out, or being probed."""
        return sum(ejected != 0 for _, ejected, *_ in figures.health(self.sidecar.stats).values())

    def ejections(self, reason: str) -> int:
        return self.sidecar.cluster(f"ejections_{reason}")


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Callable[..., Ward]]:
    with ExitStack() as stack:
        yield lambda names, **policy: stack.enter_context(Ward(tmp_path, names, **policy))


def statuses(answers: list[Message]) -> list[int]:
    return sorted(answer.status for answer in answers if answer.status != 200)


# -- what a bad endpoint costs ------------------------------------------------------------------------------


def test_a_bad_host_costs_one_run_of_failures_over_all_workers(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time=LONG, max_ejection_time=LONG)
    lot.answers["x"] = BAD
    clients, failures = [], []
    for _ in range(60):  # one after the other; as they stay, the workers share them out
        clients.append(Peer(lot.sidecar.connect()))
        clients[-1].send(request())
        failures += statuses([clients[-1].read_response()])
    assert failures == [500] * 5
    assert lot.seen("x") == 5
    assert sum(lot.sidecar.stats.lane(lane)["downstream_total"] > 0 for lane in range(WORKERS)) > 1
    assert (lot.out, lot.ejections("consecutive_5xx")) == (1, 1)
    for client in clients:
        client.close()


def test_a_bad_host_under_load_costs_little_more(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time=LONG, max_ejection_time=LONG)
    lot.answers["x"] = BAD
    clients = 16
    # those that were on their way when the fifth had failed are failures too
    assert len(statuses(lot.ask(1600, clients))) <= 5 + clients
    before = lot.seen("x")
    assert statuses(lot.ask(320, clients)) == []
    assert lot.seen("x") == before


def test_a_host_that_is_killed_under_load(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time=LONG, max_ejection_time=LONG)
    lot.ask(160)

    def requests(index: int) -> Iterator[bytes]:
        for _ in range(100):
            yield request()

    with crowd(lot.sidecar.connect, 16, requests) as asking:
        until(lambda: lot.seen("x") > 100, "the load is on")
        lot.servers["x"].__exit__(None, None, None)
    lost = [answer.status for client in asking for answer in client.answers if answer.status != 200]
    assert len(lost) <= 5 + 16
    assert set(lost) <= {503}
    assert lot.out == 1


@pytest.mark.parametrize("cut", range(len(BAD)))
def test_an_answer_that_is_cut_off_anywhere_counts(cut: int, laboratory: Callable[..., Any]) -> None:
    """Up to the last byte of the head there is no answer; from there on, there is, and it is bad."""
    lab = laboratory(cluster={"outlier_detection": {}}, route={"retries": {"attempts": 0}})
    before = lab.sidecar.endpoint("local_failures") + lab.sidecar.endpoint("responses_5xx")
    client = lab.client()
    client.send(request())
    upstream = lab.accept()
    upstream.read_request()
    upstream.send(BAD[:cut])
    upstream.close()
    client.expect_gone() if cut > BAD.index(b"\r\n\r\n") + 3 else client.read_response()
    after = lab.sidecar.endpoint("local_failures") + lab.sidecar.endpoint("responses_5xx")
    assert after == before + 1


def test_a_host_that_accepts_and_never_answers(tmp_path: Path) -> None:
    """Half open: the request's own deadline is what tells."""
    silent = Unconnectable(blackhole=True)
    with Server(body=b"good") as good:
        config = make_config(
            [good.address, silent.address],
            workers=2,
            cluster={"outlier_detection": {"consecutive_5xx": 2}, "connect_timeout": "10s"},
            route={"retries": {"attempts": 0}, "timeouts": {"request": "150ms"}},
        )
        sidecar = Sidecar(config, tmp_path)
        try:
            got = []
            for _ in range(12):
                client = Peer(sidecar.connect())
                client.send(request())
                got.append(client.read_response().status)
                client.close()
            assert sorted(got) == [200] * 10 + [504] * 2
            assert sidecar.endpoint("timeouts") == 2
        finally:
            sidecar.stop()
            silent.close()


# -- how many may be out ------------------------------------------------------------------------------------


def test_one_host_is_always_left(ward: Callable[..., Ward]) -> None:
    lot = ward("xyz", base_ejection_time=LONG, max_ejection_time=LONG, max_ejection_percent=100)
    for name in "xyz":
        lot.answers[name] = BAD
    assert set(statuses(lot.ask(1600))) == {500}
    assert lot.out == 2
    assert lot.sidecar.cluster("ejections_prevented") > 0
    assert statuses(lot.ask(160)) == [500] * 160, "the one that is left answers"


def test_a_single_host_is_never_ejected(ward: Callable[..., Ward]) -> None:
    lot = ward("x", max_ejection_percent=100)
    lot.answers["x"] = BAD
    assert statuses(lot.ask(160)) == [500] * 160
    assert lot.out == 0


def test_the_share_is_kept(ward: Callable[..., Ward]) -> None:
    lot = ward("abcxyz", base_ejection_time=LONG, max_ejection_time=LONG, max_ejection_percent=34)
    for name in "xyz":
        lot.answers[name] = BAD
    lot.ask(3200)
    assert lot.out == 2


# -- the way back -------------------------------------------------------------------------------------------


def test_exactly_one_request_probes_and_a_failure_is_longer(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time="200ms")
    lot.answers["x"] = BAD
    lot.ask(800)
    until(lambda: lot.ask(16) and lot.ejections("probe") >= 2, "two probes have failed")
    first = lot.seen("x")
    probes = lot.ejections("probe")
    lot.ask(160)
    # whatever else it saw since was a probe too
    assert lot.seen("x") - first == lot.ejections("probe") - probes
    del lot.answers["x"]
    until(lambda: lot.ask(16) and lot.out == 0, "a probe has succeeded")
    seen = lot.seen("x")
    assert statuses(lot.ask(320)) == []
    assert lot.seen("x") > seen + 50


def test_many_clients_make_one_probe(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time="300ms", max_ejection_time="300ms", consecutive_5xx=1)
    lot.answers["x"] = BAD
    until(lambda: lot.one().status == 500, "the bad one was met")
    failures = statuses(lot.ask(16 * 400))
    assert len(failures) == lot.ejections("probe"), "only probes met it"
    assert lot.seen("x") == 1 + len(failures)


def test_a_probe_of_a_dead_worker_is_given_up(ward: Callable[..., Ward]) -> None:
    lot = ward("ax", base_ejection_time="500ms", max_ejection_time="500ms", consecutive_5xx=1)
    lot.answers["x"] = BAD
    until(lambda: lot.one().status == 500, "the bad one was met")
    lot.answers["x"] = b""  # takes the probe and says nothing
    before = lot.seen("x")
    asking: list[Peer] = []

    def probed() -> bool:
        asking.append(Peer(lot.sidecar.connect()))
        asking[-1].send(request())
        return lot.seen("x") > before

    until(probed, "the probe has gone out")
    for pid in lot.sidecar.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(lot.sidecar.workers()) == WORKERS, "others have taken their places")
    for peer in asking:
        peer.close()
    assert lot.out == 1
    del lot.answers["x"]
    until(lambda: lot.one().status == 200 and lot.out == 0, "another probe has brought it back")


def test_a_probe_whose_client_leaves_is_made_again_at_once(ward: Callable[..., Ward]) -> None:
    lot = ward("ax", workers=1, base_ejection_time="2s", max_ejection_time="2s", consecutive_5xx=1)
    lot.answers["x"] = BAD
    until(lambda: lot.one().status == 500, "the bad one was met")
    lot.answers["x"] = b""
    before = lot.seen("x")
    asking: list[Peer] = []

    def probed() -> bool:
        asking.append(Peer(lot.sidecar.connect()))
        asking[-1].send(request())
        return lot.seen("x") > before

    until(probed, "the probe has gone out")
    del lot.answers["x"]
    for peer in asking:
        peer.reset()
    until(lambda: lot.one().status == 200 and lot.out == 0, "the next request brings it back", 1.5)


def test_a_host_that_flaps_is_out_ever_longer_and_forgiven(ward: Callable[..., Ward]) -> None:
    lot = ward("ax", workers=2, base_ejection_time="50ms", interval="1s", consecutive_5xx=1)

    def ejections() -> int:
        return sum(count for _, _, count, *_ in figures.health(lot.sidecar.stats).values())

    for _ in range(3):
        lot.answers["x"] = BAD
        until(lambda: lot.one().status == 500 and lot.out == 1, "it is out")
        del lot.answers["x"]
        until(lambda: lot.one().status == 200 and lot.out == 0, "it is back")
    assert ejections() >= 2
    until(lambda: lot.one().status == 200 and ejections() == 0, "good intervals forgive")


# -- rates --------------------------------------------------------------------------------------------------


def test_rates_are_judged_over_all_workers(ward: Callable[..., Ward]) -> None:
    lot = ward(
        "abcdx",
        interval="500ms",
        base_ejection_time=LONG,
        max_ejection_time=LONG,
        success_rate_request_volume=20,
        success_rate_stdev_factor=1000,
        enforcing_consecutive_5xx=0,
    )
    lot.answers["x"] = BAD
    until(lambda: lot.ask(320) and lot.out == 1, "it is out")
    assert lot.ejections("success_rate") == 1
    before = lot.seen("x")
    lot.ask(160)
    assert lot.seen("x") == before


def test_failures_in_a_hundred(ward: Callable[..., Ward]) -> None:
    lot = ward(
        "abx",
        interval="500ms",
        base_ejection_time=LONG,
        max_ejection_time=LONG,
        failure_percentage_minimum_hosts=3,
        failure_percentage_request_volume=10,
        failure_percentage_threshold=90,
        enforcing_failure_percentage=100,
        enforcing_success_rate=0,
        enforcing_consecutive_5xx=0,
    )
    lot.answers["x"] = BAD
    until(lambda: lot.ask(160) and lot.out == 1, "it is out")
    assert lot.ejections("failure_percentage") == 1


# -- changes around it --------------------------------------------------------------------------------------


def test_a_reload_without_the_policy_lets_all_back_in(ward: Callable[..., Ward]) -> None:
    lot = ward("ax", base_ejection_time=LONG, max_ejection_time=LONG, consecutive_5xx=1)
    lot.answers["x"] = BAD
    until(lambda: lot.one().status == 500, "the bad one was met")
    del lot.answers["x"]
    seen = lot.seen("x")
    lot.ask(160)
    assert lot.seen("x") == seen
    lot.sidecar.reload(lot.config(policy={"off": True}))
    lot.ask(160)
    assert lot.seen("x") > seen
    assert lot.out == 0


def test_a_reload_keeps_out_who_is_out(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time=LONG, max_ejection_time=LONG, consecutive_5xx=1)
    lot.answers["x"] = BAD
    until(lambda: lot.one().status == 500, "the bad one was met")
    seen = lot.seen("x")
    lot.sidecar.reload(lot.config("xb", policy=lot.policy | {"interval": "11s"}))
    assert statuses(lot.ask(160)) == []
    assert lot.seen("x") == seen


def test_who_has_left_does_not_count_and_starts_anew_on_return(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time=LONG, max_ejection_time=LONG, consecutive_5xx=1)
    lot.answers["x"] = BAD
    until(lambda: lot.one().status == 500, "x was met")
    lot.sidecar.reload(lot.config("ab"))
    lot.answers["a"] = BAD
    until(lambda: lot.one().status == 500, "a was met")
    assert statuses(lot.ask(160)) == [], "a is out although x was: one of those that there are may be"


def test_a_worker_that_begins_anew_knows_who_is_out(ward: Callable[..., Ward]) -> None:
    lot = ward("abx", base_ejection_time=LONG, max_ejection_time=LONG, consecutive_5xx=1)
    lot.answers["x"] = BAD
    until(lambda: lot.one().status == 500, "the bad one was met")
    for pid in lot.sidecar.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(lot.sidecar.workers()) == WORKERS, "others have taken their places")
    assert statuses(lot.ask(160)) == []
    assert lot.seen("x") == 1
