"""A child of the master that stays: how long there is none after it has died."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tulle.proxy import companion
from tulle.proxy.companion import FIRST_PAUSE, GROWN_UP, LONGEST_PAUSE, Companion, Order


class Clock:
    """Time that passes only when something waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self.next: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        self.pauses.append(seconds)
        self.next = callback
        return self

    def wait(self) -> None:
        self.now += self.pauses[-1]
        self.next()


def test_pauses_grow_to_the_longest_and_stay_there_until_one_grows_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    lives = [0.0]

    def begin_task(*arguments: object) -> object:
        clock.now += lives[-1]
        raise OSError(11, "Resource temporarily unavailable")

    said: list[str] = []
    monkeypatch.setattr(companion, "warn", said.append)
    monkeypatch.setattr(companion, "time", clock)
    monkeypatch.setattr(companion, "current", lambda: clock)
    monkeypatch.setattr(companion.spawner, "begin_task", begin_task)
    children: Any = SimpleNamespace(handle=SimpleNamespace(orders=None))
    child = Companion(children, "does nothing", lambda: Order({"task": "nothing"}, []))
    child.begin()
    for _ in range(11):
        clock.wait()
    assert clock.pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert clock.pauses[-3:] == [LONGEST_PAUSE] * 3
    lives.append(GROWN_UP + 1)
    clock.wait()
    assert clock.pauses[-1] == FIRST_PAUSE
    assert child.wanted
    why = "Resource temporarily unavailable; it is tried again"
    assert said == [f"the process that does nothing cannot begin: {why}"] * 13
