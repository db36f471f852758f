"""Token buckets that several processes share: exact in every window, evicted only when counted."""

import mmap
import os
import subprocess
import sys
from array import array
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests._fast.policy import rating
from tests.forks import in_processes
from tulle._fast.base.stats import Stats

NOW = 10**15
KEY = 7
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)


class Reference:
    """A token bucket as one would write it down: tokens come with time, in fractions of an interval."""

    def __init__(self, interval: int, burst: int, now: int) -> None:
        self.interval, self.most, self.now = interval, burst * interval, now
        self.level = self.most

    def take(self, now: int) -> bool:
        self.level = min(self.most, self.level + now - self.now)
        self.now = now
        if self.level < self.interval:
            return False
        self.level -= self.interval
        return True


def same_set(count: int) -> list[int]:
    """Keys that meet in one set."""
    return [KEY + rating.SETS * number for number in range(1, count + 1)]


@SHARED
@given(
    interval=st.integers(1_000, 10**10),
    burst=st.integers(1, 50),
    pauses=st.lists(st.integers(0, 3 * 10**10) | st.integers(0, 2_000), max_size=100),
    key=st.integers(1, 2**64 - 1),
)
def test_is_a_token_bucket(stats: Stats, interval: int, burst: int, pauses: list[int], key: int) -> None:
    now = NOW
    for way in range(rating.WAYS):
        rating.put(stats, key, way, 0, 0)
    bucket = Reference(interval, burst, now)
    for pause in pauses:
        now += pause
        tokens, reset = rating.look(stats, key, interval, burst, now)
        taken, wait, _ = rating.take(stats, key, interval, burst, now)
        assert taken == bucket.take(now)
        assert (tokens > 0) == taken
        if taken:
            assert tokens == bucket.level // interval + 1
            assert reset == bucket.most - bucket.level - interval
        else:
            assert wait == reset == interval - bucket.level


def test_a_token_that_is_given_back_may_be_taken_again(stats: Stats) -> None:
    assert [rating.take(stats, KEY, 1000, 2, NOW)[0] for _ in range(3)] == [True, True, False]
    rating.give_back(stats, KEY, 1000, 2)
    assert [rating.take(stats, KEY, 1000, 2, NOW)[0] for _ in range(2)] == [True, False]


def test_nothing_is_lost_to_clients_that_are_back_at_full(stats: Stats) -> None:
    keys = same_set(3 * rating.WAYS)
    for step, key in enumerate(keys):
        assert rating.take(stats, key, 1000, 1, NOW + step * 1000) == (True, 0, 0)


def test_who_makes_way_is_counted_and_is_the_one_that_asked_least(stats: Stats) -> None:
    *busy, newcomer = same_set(rating.WAYS + 1)
    for number, key in enumerate(busy):
        for _ in range(2 + number):
            assert rating.take(stats, key, 10**9, 100, NOW)[2] == 0
    assert rating.take(stats, newcomer, 10**9, 100, NOW) == (True, 0, 1)
    held = [key for key, _ in rating.ways(stats, KEY)]
    assert sorted(held) == sorted([*busy[1:], newcomer])
    # and the busiest cannot be driven out by a flood of others
    floods = sum(rating.take(stats, key, 10**9, 100, NOW)[2] for key in same_set(500)[rating.WAYS + 1 :])
    assert floods == 500 - rating.WAYS - 1
    assert busy[-1] in [key for key, _ in rating.ways(stats, KEY)]


def test_a_claim_that_its_worker_left_behind_is_taken_over(stats: Stats) -> None:
    left = rating.CLAIM | NOW << 8
    others = same_set(rating.WAYS)
    for way, other in enumerate(others):
        rating.put(stats, KEY, way, other, left)
    later = NOW + 2 * 10**9
    assert rating.take(stats, KEY, 1000, 1, later) == (True, 0, 0)
    assert [key for key, _ in rating.ways(stats, KEY)].count(KEY) == 1
    # of the same key: it is taken away, and the bucket begins with one token taken
    rating.put(stats, KEY, 0, 0, 0)
    rating.put(stats, KEY, 3, KEY, left)
    assert rating.take(stats, KEY, 10**9, 1, later)[0]
    assert not rating.take(stats, KEY, 10**9, 1, later)[0]
    assert [key for key, _ in rating.ways(stats, KEY)].count(KEY) == 1


def most_above(times: list[int], interval: int) -> int:
    """By how many the requests of a window are more than it has intervals, at most: the burst."""
    most, lowest = 0, None
    for index, time in enumerate(times):
        ahead = index * interval - time
        lowest = ahead if lowest is None else min(lowest, ahead)
        most = max(most, -(-(ahead - lowest) // interval) + 1)
    return most


@pytest.mark.parametrize(
    ("buckets", "interval", "burst"), [(1, 10_000, 1), (1, 2_000, 50), (3, 20_000, 4), (40, 5_000_000, 3)]
)
def test_no_window_holds_more_than_limit_and_burst_with_four_processes(
    stats: Stats, buckets: int, interval: int, burst: int
) -> None:
    room, lanes = 200_000, 4
    spread = same_set(buckets) if buckets <= rating.WAYS else list(range(1, buckets + 1))
    keys = memoryview(array("Q", spread))
    block = memoryview(mmap.mmap(-1, 8 * lanes * (1 + 2 * room))).cast("Q")
    parts = [block[lane * (1 + 2 * room) : (lane + 1) * (1 + 2 * room)] for lane in range(lanes)]
    in_processes(
        [
            partial(rating.hammer, stats, lane, keys, interval, burst, 400_000, parts[lane])
            for lane in range(lanes)
        ]
    )
    times: dict[int, list[int]] = {}
    for part in parts:
        assert part[0] <= room
        for index in range(part[0]):
            times.setdefault(part[1 + 2 * index], []).append(part[2 + 2 * index])
    assert sorted(times) == sorted(spread)
    for own in times.values():
        assert most_above(sorted(own), interval) <= burst


def test_one_key_claimed_by_all_at_once_has_one_bucket(stats: Stats) -> None:
    """Many new keys in a crowded set, each with one token: whoever makes the bucket, there is one token."""
    rounds, lanes = 3_000, 4
    keys = memoryview(array("Q", [KEY + rating.SETS * number for number in range(1, rounds + 1)]))
    block = memoryview(mmap.mmap(-1, 8 * lanes * (1 + 2 * rounds))).cast("Q")
    parts = [block[lane * (1 + 2 * rounds) : (lane + 1) * (1 + 2 * rounds)] for lane in range(lanes)]
    # a bucket is full again after 1 us, so that none that makes way is in use for long
    in_processes(
        [partial(rating.hammer, stats, lane, keys, 1_000, 1, rounds, parts[lane]) for lane in range(lanes)]
    )
    times: dict[int, list[int]] = {}
    for part in parts:
        for index in range(part[0]):
            times.setdefault(part[1 + 2 * index], []).append(part[2 + 2 * index])
    assert set(times) == set(keys)
    held = [key for key, _ in rating.ways(stats, KEY) if key]
    assert len(held) == len(set(held)), "a key has two buckets"


def test_the_hash_is_siphash_1_3() -> None:
    """CPython hashes bytes by it, under a key of zeros when PYTHONHASHSEED is 0."""
    if sys.hash_info.algorithm != "siphash13":
        pytest.skip(f"this Python hashes by {sys.hash_info.algorithm}")
    texts = [bytes(range(length)) for length in range(1, 40)]
    code = "print(*[hash(bytes(range(length))) for length in range(1, 40)])"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        check=True,
    )
    wanted = [int(word) % 2**64 for word in found.stdout.split()]
    assert [rating.siphash(0, 0, [text]) for text in texts] == wanted
    assert rating.siphash(1, 0, texts) != rating.siphash(0, 0, texts)
    assert [rating.siphash(0, 0, [text[:3], b"", text[3:]]) for text in texts] == wanted
