"""The configurations that the peers are given; those that are installed check their own."""

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from bench.demand import Demand, Policy
from bench.peers import PEERS, Peer
from bench.peers.base import put_files
from bench.scenarios import SCENARIOS

DEMANDS = {
    "plain": Demand(port=1081, endpoints=(1082,)),
    "routes": Demand(port=1081, endpoints=(1082,), routes=30, clusters=7, version=5),
    "logs": Demand(port=1081, endpoints=(1082,), access_log=True),
    "http2": Demand(port=1081, endpoints=(1082,), http2=True),
}
CHECKS = {
    "nginx": ["-t", "-q"],
    "haproxy": ["-c"],
    "envoy": ["--mode", "validate"],
}
ENTRIES = {
    f"{scenario.name}: {entry.name}": (entry, scenario.demand(1081, tuple(range(1082, 1092)), entry.policy))
    for scenario in SCENARIOS.values()
    for peer in PEERS.values()
    if scenario.variants
    for entry in scenario.entries(peer)
}


@pytest.mark.parametrize("demand", DEMANDS.values(), ids=DEMANDS)
@pytest.mark.parametrize("name", CHECKS)
def test_a_peer_accepts_its_configuration(name: str, demand: Demand, tmp_path: Path) -> None:
    accepts(PEERS[name], demand, tmp_path)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_peer_accepts_each_policy(name: str, tmp_path: Path) -> None:
    entry, demand = ENTRIES[name]
    if entry.peer.name == "tulle":
        assert entry.peer.refuses(demand, tmp_path) is None
    else:
        accepts(entry.peer, demand, tmp_path)


def test_a_policy_that_tulle_does_not_know_is_named(tmp_path: Path) -> None:
    demand = Demand(port=1081, endpoints=(1082,), policy=Policy(balancer=cast(Any, "by_moon")))
    assert "load_balancer" in str(PEERS["tulle"].refuses(demand, tmp_path))


def accepts(peer: Peer, demand: Demand, folder: Path) -> None:
    if lacking := peer.missing():
        installed_in_ci(f"{peer.name}: {lacking}")
    put_files(peer.files(demand, folder), folder)
    checked = subprocess.run(
        [*peer.command(demand, folder), *CHECKS[peer.name]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def installed_in_ci(lacking: str) -> None:
    """Skip, or fail where all peers must be there."""
    if os.environ.get("CI"):
        pytest.fail(lacking)
    pytest.skip(lacking)


@pytest.mark.parametrize("demand", DEMANDS.values(), ids=DEMANDS)
def test_tulle_is_given_words_that_its_model_knows(demand: Demand, tmp_path: Path) -> None:
    model = pytest.importorskip("tulle.controlplane.model")
    (text,) = PEERS["tulle"].files(demand, tmp_path).values()
    config = msgspec.json.decode(text, type=model.Config)
    assert len(config.clusters) == demand.clusters
    assert len(config.routes["main"]) == max(demand.routes, 1) + (demand.version is not None)


def test_yaml_says_what_json_says(tmp_path: Path) -> None:
    from dataclasses import replace

    import yaml

    demand = DEMANDS["routes"]
    (text,) = PEERS["tulle"].files(demand, tmp_path).values()
    (yaml_text,) = PEERS["tulle"].files(replace(demand, yaml=True), tmp_path).values()
    assert yaml.safe_load(yaml_text) == msgspec.json.decode(text)


def test_files_are_in_place_whole_and_nothing_else(tmp_path: Path) -> None:
    put_files({"a": "old", "b": "x"}, tmp_path)
    put_files({"a": "new"}, tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": "new", "b": "x"}
