"""Outlier detection by itself, with a clock of the test's own."""

import statistics

import pytest

from tests._fast.policy.outliers import Host, Policy, status

GOOD, ERROR, GATEWAY, LOCAL = range(4)
(
    BY_5XX, BY_GATEWAY, BY_LOCAL, BY_SUCCESS_RATE, BY_LOCAL_SUCCESS_RATE, BY_PERCENTAGE, BY_LOCAL_PERCENTAGE,
    BY_PROBE,
) = range(8)  # fmt: skip
NONE = -1
S = 1_000_000_000
NOW = 1000 * S
ENVOY = {
    "consecutive_5xx": 5,
    "consecutive_gateway_failure": 5,
    "consecutive_local_origin_failure": 5,
    "split_local": 0,
    "max_ejection_percent": 10,
    "interval": 10 * S,
    "base_ejection_time": 30 * S,
    "max_ejection_time": 300 * S,
    "success_rate_minimum_hosts": 5,
    "success_rate_request_volume": 100,
    "success_rate_stdev_factor": 1900,
    "failure_percentage_threshold": 85,
    "failure_percentage_minimum_hosts": 5,
    "failure_percentage_request_volume": 50,
}
ALL = (100,) * 7


def policy(enforcing: tuple[int, ...] = ALL, **changed: int) -> Policy:
    return Policy(enforcing, **(ENVOY | changed))


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *((code, GOOD) for code in (101, 200, 404, 499)),
        *((code, ERROR) for code in (500, 501, 505, 599, 700)),
        *((code, GATEWAY) for code in (502, 503, 504)),
    ],
)
def test_what_a_status_means(code: int, outcome: int) -> None:
    assert status(code) == outcome


# -- failures in a row --------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [ERROR, GATEWAY, LOCAL])
def test_the_fifth_failure_in_a_row_ejects(outcome: int) -> None:
    host = Host(policy())
    assert [host.count(outcome) for _ in range(11)] == [NONE] * 4 + [BY_5XX] + [NONE] * 4 + [BY_5XX, NONE]


@pytest.mark.parametrize("outcome", [ERROR, GATEWAY, LOCAL])
def test_a_success_ends_the_row(outcome: int) -> None:
    host = Host(policy())
    assert [host.count(each) for each in [*[outcome] * 4, GOOD] * 5] == [NONE] * 25


def test_gateway_failures_are_counted_apart() -> None:
    host = Host(policy(consecutive_gateway_failure=2))
    assert [host.count(each) for each in (GATEWAY, ERROR, GATEWAY)] == [NONE] * 3
    assert host.count(LOCAL) == BY_GATEWAY


def test_both_at_once_are_told_as_the_one_that_may_eject() -> None:
    off = (0, 100, 100, 100, 100, 100, 100)
    for enforcing, reason in ((ALL, BY_5XX), (off, BY_GATEWAY)):
        host = Host(policy(enforcing))
        assert [host.count(GATEWAY) for _ in range(5)][-1] == reason


def test_local_failures_told_apart() -> None:
    host = Host(policy(split_local=1))
    assert [host.count(each) for each in (*[LOCAL] * 4, ERROR, *[LOCAL] * 5)] == [NONE] * 9 + [BY_LOCAL]
    # and they neither add to a row of errors nor end it
    host = Host(policy(split_local=1))
    assert [host.count(each) for each in (*[ERROR] * 4, LOCAL, ERROR)] == [NONE] * 5 + [BY_5XX]


# -- rates --------------------------------------------------------------------------------------------------


def test_success_rate_is_the_mean_less_deviations() -> None:
    errors = [0, 1, 2, 1, 0, 3, 1, 2, 40, 9]
    rates = [100.0 - count for count in errors]
    least = statistics.mean(rates) - 1.9 * statistics.pstdev(rates)
    found = policy().judge([(100, count, 0) for count in errors])
    assert found == [BY_SUCCESS_RATE if rate < least else NONE for rate in rates]
    assert found.count(BY_SUCCESS_RATE) == 1


def test_success_rate_needs_hosts_and_requests() -> None:
    hosts = [(100, 0, 0)] * 4 + [(99, 99, 0)]
    bounds = policy(failure_percentage_request_volume=1000)
    assert bounds.judge(hosts) == [NONE] * 5
    assert policy(success_rate_stdev_factor=1000).judge([(100, 0, 0)] * 4 + [(100, 90, 0)])[4] != NONE


def test_equal_hosts_are_no_outliers() -> None:
    assert policy(failure_percentage_threshold=100).judge([(1000, 333, 0)] * 50) == [NONE] * 50
    assert policy().judge([]) == []


def test_failure_percentage() -> None:
    off = (100, 0, 100, 0, 0, 100, 100)
    hosts = [(50, 0, 0), (50, 42, 0), (50, 43, 0), (5, 0, 45), (49, 49, 0), (50, 50, 0)]
    # 84 %, 86 %, 90 % without an answer, too few requests, all
    assert policy(off).judge(hosts) == [NONE, NONE, BY_PERCENTAGE, BY_PERCENTAGE, NONE, BY_PERCENTAGE]
    assert policy(off, failure_percentage_minimum_hosts=6).judge(hosts) == [NONE] * 6


def test_rates_of_local_failures_told_apart() -> None:
    off = (100, 0, 100, 0, 0, 100, 100)
    hosts = [(100, 0, 0)] * 4 + [(60, 60, 0), (10, 0, 90)]
    found = policy(off, split_local=1).judge(hosts)
    assert found == [NONE] * 4 + [BY_PERCENTAGE, BY_LOCAL_PERCENTAGE]
    only_rates = (0, 0, 0, 0, 100, 0, 0)
    assert policy(only_rates, split_local=1).judge(hosts)[5] == BY_LOCAL_SUCCESS_RATE


def test_what_is_not_enforced_does_not_judge() -> None:
    assert policy((0,) * 7, split_local=1).judge([(100, 0, 0)] * 5 + [(100, 100, 100)]) == [NONE] * 6


def test_a_sample_is_what_came_since_the_last() -> None:
    host = Host(policy())
    assert host.sample(10, 3, 1) == (10, 3, 1)
    assert host.sample(15, 3, 2) == (5, 0, 1)
    host.sample(2**32 - 1, 0, 0)
    assert host.sample(4, 0, 0) == (5, 0, 0)


# -- out, and back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "percent", "most"),
    [
        (0, 100, 0),
        (1, 100, 0),
        (2, 100, 1),
        (2, 10, 1),
        (3, 50, 1),
        (10, 10, 1),
        (10, 50, 5),
        (10, 100, 9),
        (19, 10, 1),
        (20, 10, 2),
        (10, 0, 0),
        (1_000_000, 99, 990_000),
    ],
)
def test_how_many_may_be_out(hosts: int, percent: int, most: int) -> None:
    assert policy(max_ejection_percent=percent).most(hosts) == most


def test_each_time_out_is_longer_up_to_the_longest() -> None:
    host = Host(policy())
    times = []
    for _ in range(14):
        times.append((host.eject(NOW) - NOW) // S)
        token = host.probe(NOW + 400 * S)
        assert host.probed(token, True, NOW)
    assert times == [*range(30, 301, 30), 300, 300, 300, 300]


def test_a_longest_time_below_the_base_means_the_base() -> None:
    host = Host(policy(max_ejection_time=S))
    assert host.eject(NOW) == NOW + 30 * S


def test_only_one_ejects() -> None:
    host = Host(policy())
    assert host.eject(NOW) == host.ejected == NOW + 30 * S
    assert host.eject(NOW) == 0
    assert host.ejections == 1


def test_an_ejection_taken_back_leaves_no_trace() -> None:
    host = Host(policy())
    ejected = host.eject(NOW)
    host.undo(ejected)
    assert (host.ejected, host.ejections) == (0, 0)
    host.eject(NOW + S)
    host.undo(ejected)  # of another one: not ours to take back
    assert (host.ejected, host.ejections) == (NOW + 31 * S, 1)


def test_one_probe_when_the_time_is_up() -> None:
    host = Host(policy())
    assert host.probe(NOW) == 0, "it is in"
    host.eject(NOW)
    assert host.probe(NOW + 30 * S - 1) == 0
    token = host.probe(NOW + 30 * S)
    assert token == host.ejected and token & 1
    assert host.probe(NOW + 31 * S) == 0, "a probe is under way"
    assert host.probed(token, True, NOW + 32 * S)
    assert (host.ejected, host.ejections) == (0, 1)


def test_a_failed_probe_is_out_for_longer() -> None:
    host = Host(policy())
    host.eject(NOW)
    token = host.probe(NOW + 30 * S)
    assert host.probed(token, False, NOW + 31 * S)
    assert (host.ejected, host.ejections) == (NOW + 91 * S, 2)


def test_a_probe_that_never_ends_is_given_up() -> None:
    host = Host(policy())
    host.eject(NOW)
    lost = host.probe(NOW + 30 * S)
    assert host.probe(NOW + 60 * S) == 0
    token = host.probe(NOW + 60 * S + 2)
    assert token
    assert not host.probed(lost, True, NOW + 61 * S), "it comes too late"
    assert host.ejected == token
    assert not host.probed(lost, False, NOW + 61 * S)
    assert host.ejected == token


def test_a_probe_that_is_dropped_may_be_made_again_at_once() -> None:
    host = Host(policy())
    host.eject(NOW)
    token = host.probe(NOW + 30 * S)
    host.dropped(token, NOW + 30 * S + 1)
    assert host.ejections == 1
    assert host.probe(NOW + 30 * S + 1)


def test_nothing_is_held_against_who_comes_back() -> None:
    host = Host(policy())
    host.eject(NOW)
    for _ in range(4):
        host.count(ERROR)
    host.probed(host.probe(NOW + 30 * S), True, NOW)
    assert [host.count(ERROR) for _ in range(5)] == [NONE] * 4 + [BY_5XX]


def test_good_intervals_forgive() -> None:
    host = Host(policy())
    for _ in range(3):
        host.eject(NOW)
        host.forgive(1)
        assert host.ejections, "not while it is out"
        host.probed(host.probe(NOW + 400 * S), True, NOW)
    host.forgive(1)
    assert host.ejections == 2
    host.forgive(100)
    assert host.ejections == 0
    host.forgive(1)
    assert host.ejections == 0
    assert host.eject(NOW) == NOW + 30 * S
