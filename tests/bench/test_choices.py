"""What the command line chooses, and which peers a scenario can take."""

import pytest

from bench.__main__ import choose_peers, choose_scenarios, main
from bench.cpus import place
from bench.load.wrk import parse
from bench.peers import PEERS
from bench.scenarios import SCENARIOS
from bench.scenarios.traffic import some_paths


def test_patterns_choose_each_scenario_once_in_order() -> None:
    names = [scenario.name for scenario in choose_scenarios(["keepalive-*", "start", "keepalive-64"])]
    assert names == ["keepalive-1", "keepalive-16", "keepalive-64", "keepalive-256", "start"]
    assert len(choose_scenarios(None)) == len(SCENARIOS)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(LookupError, match=r"no scenario is called 'nothing'.*keepalive-1"):
        choose_scenarios(["nothing"])
    with pytest.raises(LookupError, match=r"no peer is called 'apache'.*haproxy"):
        choose_peers("relay,apache")


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--scenario", "nothing"], ["--rounds", "0"], ["--peers", "apache"]):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
    assert "no peer is called 'apache'" in capsys.readouterr().err


def test_direct_and_relay_take_part_only_where_they_can() -> None:
    takes = {
        name: {peer for peer in PEERS if scenario.takes(PEERS[peer])} for name, scenario in SCENARIOS.items()
    }
    usual = {name for name, peer in PEERS.items() if not peer.named_only}
    assert takes["keepalive-64"] == usual
    assert takes["routes-1000"] == takes["reload"] == usual - {"direct", "relay"}
    assert takes["close"] == usual - {"direct"}
    assert takes["reload-yaml"] == {"tulle"}


def test_a_peer_takes_part_once_with_each_of_its_policies() -> None:
    names = [entry.name for entry in SCENARIOS["storm"].entries(PEERS["envoy"])]
    assert names == ["envoy retries", "envoy budget", "envoy budget+breaker"]
    assert [entry.name for entry in SCENARIOS["start"].entries(PEERS["envoy"])] == ["envoy"]
    assert SCENARIOS["storm"].entries(PEERS["nginx"]) == []


def test_proxy_and_load_are_apart_when_there_are_two_processors() -> None:
    two = place({4, 2})
    assert (two.proxy, two.load, two.apart) == (frozenset({2}), frozenset({4}), True)
    assert not place({3}).apart


def test_paths_are_the_same_each_time_and_all_different() -> None:
    assert some_paths(100_000) == some_paths(100_000)
    assert len(set(some_paths(100_000))) == 1000
    assert len(some_paths(10)) == 10


def test_the_line_of_wrk_is_found_among_others() -> None:
    line = (
        'RESULT {"requests": 10, "seconds": 2.0, "bytes": 7, "failed": 3, "p50": 1.0, "p99": 2.0, '
        '"kinds": {"read": 0, "status": 3}}'
    )
    result = parse(f"Running 2s test\n{line}\n")
    assert (result.rate, result.kinds) == (5, {"status": 3})
    with pytest.raises(RuntimeError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1")
