"""When endpoints are taken for healthy: the rules, without any endpoint."""

import errno

import pytest

from tulle.proxy.health import failures
from tulle.proxy.health.verdict import Standing, judge

FRESH_WELL = Standing(False, False, 0)
FRESH_ILL = Standing(True, False, 0)
WELL = Standing(False, True, 0)
ILL = Standing(True, True, 0)


def after(standing: Standing, found: str) -> list[bool]:
    """Unhealthy or not, after each of these checks: + passed, - failed, ! failed and says so itself."""
    states = []
    for each in found:
        standing = judge(standing, each == "+", 2, 3, each == "!")
        states.append(standing.unhealthy)
    return states


@pytest.mark.parametrize(
    ("standing", "found", "unhealthy"),
    [
        (WELL, "--+--+---", "00000000" + "1"),
        (WELL, "!", "1"),
        (ILL, "+-+-++", "111110"),
        (ILL, "-+++", "1110"[:2] + "00"),
        (FRESH_WELL, "---", "001"),
        (FRESH_WELL, "+", "0"),
        (FRESH_ILL, "+", "0"),
        (FRESH_ILL, "-++", "110"),
    ],
)
def test_thresholds(standing: Standing, found: str, unhealthy: str) -> None:
    assert after(standing, found) == [each == "1" for each in unhealthy]


def test_failures_in_words() -> None:
    assert failures.in_words(failures.PASSED) == ""
    assert failures.in_words(failures.unexpected(503)) == "status 503"
    refused = OSError(errno.ECONNREFUSED, "x")
    assert failures.in_words(failures.unreachable(refused)) == "connection refused"
    told = {failures.in_words(each) for each in (failures.TIMEOUT, failures.CLOSED, failures.MALFORMED)}
    assert len(told | {failures.in_words(failures.TOLD)}) == 4
