"""What the bench reads out of h2load's words."""

import pytest

from bench.load.h2load import parse

OUTPUT = """\
Application protocol: h2c
finished in 1.50s, 4830.67 req/s, 1.08MB/s
requests: 7250 total, 7251 started, 7249 done, 7240 succeeded, 9 failed, 1 errored, 0 timeout
status codes: 7240 2xx, 0 3xx, 0 4xx, 9 5xx
traffic: 1.08MB (1130493) total, 63.76KB (65289) headers (space savings 91.73%), 912.83KB (934734) data
"""


def test_its_counts_and_latencies() -> None:
    result = parse(OUTPUT, list(range(100)))
    assert (result.requests, result.failed, result.bytes, result.seconds) == (7240, 10, 1130493, 1.5)
    assert (result.p50, result.p99) == (50, 99)
    assert result.kinds == {"status": 9, "reset": 1}


def test_one_that_did_not_finish() -> None:
    with pytest.raises(RuntimeError, match="h2load did not finish: no such host"):
        parse("no such host", [])
