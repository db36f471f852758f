"""Raw TCP under what clusters and listeners say: weights, health, limits, times, figures, drains."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests._fast.flow.conftest import Laboratory
from tests._fast.flow.lab import Lab, own_lab
from tests._fast.flow.peers import Backend, Unconnectable
from tests._fast.flow.sidecar import until
from tests.chance import chi_square_limit, deviation
from tulle._fast.base import figures

RAW = {"protocol": "tcp"}
LOG = {"path": "/dev/stdout", "format": "json"}


def lines(lab: Lab, count: int) -> list[dict[str, Any]]:
    lab.sidecar.wait_for_line('"protocol":"TCP"', count)
    return [json.loads(line) for line in lab.sidecar.words().splitlines() if line.startswith("{")]


def test_backends_by_weight(laboratory: Laboratory) -> None:
    light, heavy, none = Backend(), Backend(), Backend()
    backends = {"light": (light, 1), "heavy": (heavy, 3), "none": (none, 0)}
    lab = laboratory(
        listener=RAW,
        route={"backends": [{"cluster": name, "weight": weight} for name, (_, weight) in backends.items()]},
        more_clusters={
            name: {"endpoints": [{"address": backend.address}]} for name, (backend, _) in backends.items()
        },
    )
    connections = 200
    counts = dict.fromkeys(backends, 0)
    for _ in range(connections):
        lab.client().close()

    def all_came() -> bool:
        for name, (backend, _) in backends.items():
            while backend.waiting():
                backend.accept().close()
                counts[name] += 1
        return sum(counts.values()) == connections

    until(all_came, "all are routed")
    for backend in (light, heavy, none):
        backend.close()
    assert counts["none"] == 0
    parts = [counts["light"], counts["heavy"]], [connections / 4, 3 * connections / 4]
    assert deviation(*parts) < chi_square_limit(1)


def test_an_endpoint_that_health_checks_find_bad(laboratory: Laboratory) -> None:
    nobody = Unconnectable(blackhole=False)
    backend = Backend()
    lab = laboratory(
        endpoints=[nobody.address, backend.address],
        listener=RAW,
        cluster={"health_checks": [{"tcp": {}, "interval": "50ms", "unhealthy_threshold": 1}]},
    )
    until(lambda: " is unhealthy" in lab.sidecar.words(), "the check has failed")
    for number in range(8):
        client = lab.client()
        client.send(b"%d" % number)
        upstream = backend.accept()
        while not upstream.fill():  # a check
            upstream.close()
            upstream = backend.accept()
        assert upstream.read(1) == b"%d" % number
        upstream.close()
        client.close()
    assert lab.sidecar.flags() == {}
    backend.close()
    nobody.close()


def test_connections_that_fail_eject_an_endpoint(laboratory: Laboratory) -> None:
    nobody = Unconnectable(blackhole=False)
    backend = Backend()
    lab = laboratory(
        endpoints=[nobody.address, backend.address],
        listener=RAW,
        route={"retries": {"attempts": 1, "on": ["connect-failure"]}},
        cluster={"outlier_detection": {"consecutive_5xx": 2, "base_ejection_time": "1m"}},
    )
    for _ in range(10):
        client = lab.client()
        lab.keep(backend.accept()).close()
        client.expect_end()
        client.close()
    assert lab.sidecar.cluster("connect_failures") == 2
    backend.close()
    nobody.close()


def test_one_connection_too_many(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW, cluster={"circuit_breaker": {"max_requests": 1}}, access_log=LOG)
    first = lab.client()
    upstream = lab.accept()
    assert lab.turned_away()
    first.send(b"x")
    assert upstream.read(1) == b"x"
    upstream.close()
    first.close()
    assert sorted(line["response_flags"] for line in lines(lab, 2)) == ["-", "UO"]


def test_one_connection_too_many_of_the_listener(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW | {"max_connections": 1})
    first = lab.client()
    upstream = lab.accept()
    assert lab.turned_away()
    until(lambda: lab.sidecar.total("accept_overflow") == 1, "it is counted")
    first.send(b"x")
    assert upstream.read(1) == b"x"


def test_a_host_that_does_not_answer(laboratory: Laboratory) -> None:
    nobody = Unconnectable(blackhole=True)
    lab = laboratory(endpoints=[nobody.address], listener=RAW, cluster={"connect_timeout": "50ms"})
    assert lab.turned_away()
    until(lambda: lab.sidecar.flags() == {"UF": 1}, "it is counted")
    nobody.close()


def test_figures_and_the_line_of_a_connection(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW, access_log=LOG, cluster={"load_balancer": "least_request"})
    client = lab.client()
    upstream = lab.accept()
    client.send(b"question")
    assert upstream.read(8) == b"question"
    assert lab.sidecar.total("tunnels_active") == 1
    assert lab.sidecar.endpoint("requests_active") == 1
    upstream.send(b"the answer")
    assert client.read(10) == b"the answer"
    client.half_close()
    assert upstream.read_rest() == b""
    upstream.close()
    client.expect_end()
    (line,) = lines(lab, 1)
    assert (line["bytes_received"], line["bytes_sent"], line["attempts"]) == (8, 10, 1)
    assert (line["upstream_cluster"], line["upstream_host"]) == ("c", lab.backend.address)
    assert isinstance(line["duration_us"], int)
    assert isinstance(line["connect_us"], int)
    series = list(figures.series(lab.sidecar.stats, (1,)).values())
    assert len(series) == 1


def test_times_of_a_route_do_not_end_it(laboratory: Laboratory) -> None:
    lab = laboratory(listener=RAW, route={"timeouts": {"per_try": "50ms"}})
    client = lab.client()
    upstream = lab.accept()
    for _ in range(4):
        client.send(b"x")
        assert upstream.read(1) == b"x"
        client.connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.fill()


def test_a_drain_lets_it_end_and_cuts_it_off_when_its_time_is_up(tmp_path: Path) -> None:
    with own_lab(tmp_path, listener=RAW, drain_timeout="2s", access_log=LOG) as lab:
        client = lab.client()
        upstream = lab.accept()
        client.send(b"x")
        assert upstream.read(1) == b"x"
        lab.sidecar.terminate()
        until(lambda: not lab.sidecar.workers(), "it drains")
        client.send(b"still")
        assert upstream.read(5) == b"still"
        client.expect_gone()
        upstream.expect_gone()
        assert lab.left() == 0
        assert lines(lab, 1)[0]["response_flags"] == "DR"
