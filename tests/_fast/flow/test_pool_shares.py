"""The pools of several workers under one limit: never too many, no place free while somebody waits."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from tests._fast.flow.pools import (
    CONNECTING,
    DONE,
    GUESTS_OF_A_WORKER,
    HOSTS_OF_THE_CLUSTER,
    NONE,
    OPEN,
    WAITING,
    WORDS_A_LANE,
    Workers,
    hammer,
)
from tests.forks import in_processes, shared_words
from tulle._fast.base import figures
from tulle._fast.base.stats import Stats, create

LANES = 4


@contextmanager
def shared() -> Iterator[tuple[Stats, list[int]]]:
    """Memory for the lanes, and their eventfds."""
    descriptor = create(LANES, 1, 16)
    wakes = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(LANES)]
    try:
        stats = Stats(descriptor)
        stats.use_lane(LANES - 1)
        yield stats, wakes
        assert figures.limits(stats) in ({}, {0: [0, 0, 0, 0]}), "places are held by nobody"
    finally:
        for each in (descriptor, *wakes):
            os.close(each)


# -- step by step, in one process -------------------------------------------------------------------------


def settle(workers: Workers) -> None:
    """Let all heed their wake-ups until there are none."""
    for _ in range(100):
        heeded = [workers.heed(lane) for lane in range(LANES)]
        if not any(heeded):
            return
    raise AssertionError("the workers wake each other without end")


def check_settled(workers: Workers, words: memoryview, maximum: int) -> None:
    states = [workers.states(lane) for lane in range(LANES)]
    assert words[OPEN] <= maximum
    if any(WAITING in listed for listed in states):
        idle = [workers.idle(lane) for lane in range(LANES)]
        assert words[OPEN] == maximum, f"a place is free, and somebody waits: {states}"
        assert not any(idle), f"a connection is idle, and somebody waits: {states}, {idle}"


def act(workers: Workers, draw: random.Random) -> None:
    """One worker does one thing."""
    lane, guest = draw.randrange(LANES), draw.randrange(GUESTS_OF_A_WORKER)
    match draw.choices(("start", "step", "break", "heed"), (4, 3, 1, 1))[0]:
        case "start":
            workers.start(lane, guest, draw.randrange(HOSTS_OF_THE_CLUSTER), draw.random() < 0.2)
        case "step":
            workers.step(lane, guest, True)
        case "break":
            workers.step(lane, guest, False)
        case "heed":
            workers.heed(lane)


@pytest.mark.parametrize("pending", [0, 2])
@pytest.mark.parametrize("maximum", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_no_place_is_left_to_nobody(seed: int, maximum: int, pending: int) -> None:
    """Workers act in any order and heed their wake-ups late; once they have, all is as it should be."""
    draw = random.Random(seed)
    words = shared_words(2)
    with shared() as (stats, wakes):
        workers = Workers(stats, wakes, maximum, pending, words)
        for _ in range(400):
            for _ in range(draw.randrange(12)):
                act(workers, draw)
                assert words[OPEN] <= maximum
            settle(workers)
            check_settled(workers, words, maximum)
        while any(set(workers.states(lane)) != {NONE} for lane in range(LANES)):
            for lane in range(LANES):
                for guest in range(GUESTS_OF_A_WORKER):
                    if workers.states(lane)[guest] != WAITING:
                        workers.step(lane, guest, True)
            settle(workers)
            check_settled(workers, words, maximum)
        for lane in range(LANES):
            workers.drain(lane)
        assert words[OPEN] == 0


def test_two_places_that_come_free_together_go_to_two_workers() -> None:
    words = shared_words(2)
    with shared() as (stats, wakes):
        workers = Workers(stats, wakes, 2, 0, words)
        for guest in range(2):
            workers.start(0, guest, guest, False)
        for lane in (1, 2):
            workers.start(lane, 0, 0, False)
        settle(workers)
        for guest in range(2):
            workers.step(0, guest, False)
        settle(workers)
        assert [workers.states(lane)[0] for lane in (1, 2)] == [CONNECTING, CONNECTING]
        for lane in (1, 2):
            workers.step(lane, 0, False)


def test_a_waiter_takes_the_place_of_an_idle_connection_of_its_own_worker() -> None:
    """It had to queue behind another worker's waiter, who then left."""
    words = shared_words(2)
    with shared() as (stats, wakes):
        workers = Workers(stats, wakes, 1, 0, words)
        workers.start(1, 0, 0, False)
        for _ in range(2):
            workers.step(1, 0, True)
        assert workers.idle(1) == 1
        workers.start(2, 0, 0, False)
        workers.start(1, 1, 1, False)
        assert workers.states(1)[1] == workers.states(2)[0] == WAITING
        workers.step(2, 0, False)
        settle(workers)
        assert workers.states(1)[1] == CONNECTING
        workers.step(1, 1, False)


# -- as fast as can be, each in a process of its own ------------------------------------------------------


@pytest.mark.parametrize(("rounds", "requests"), [(1, 20_000), (1500, 2), (500, 7)])
@pytest.mark.parametrize(("maximum", "pending"), [(1, 0), (2, 0), (2, 3), (6, 0)])
def test_places_go_round_among_processes(maximum: int, pending: int, rounds: int, requests: int) -> None:
    """A worker all of whose requests wait hears of a place before long: else it says that it is stuck."""
    words = shared_words(2 + LANES * WORDS_A_LANE)
    with shared() as (stats, wakes):
        in_processes(
            [
                partial(hammer, stats, lane, wakes, maximum, pending, rounds, requests, words)
                for lane in range(LANES)
            ],
            seconds=100,
        )
    lanes = [tuple(words[2 + lane * WORDS_A_LANE : 6 + lane * WORDS_A_LANE]) for lane in range(LANES)]
    peaks, served, refused, stuck = zip(*lanes, strict=True)
    assert stuck == (0,) * LANES, f"waited for a wake-up that never came: {stuck}"
    assert max(peaks) <= maximum
    assert [got + lost for got, lost in zip(served, refused, strict=True)] == [rounds * requests] * LANES
    assert words[OPEN] == 0
    assert words[DONE] == LANES * rounds
