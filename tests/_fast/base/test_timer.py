"""The timer wheel against a naive reference: a list of deadlines that is looked through."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests._fast.base.wheel import CLEAR, FREE, NEVER, REMOVE, SET, TICK, Wheel

TIMERS = 6
LEVELS = 5
SPANS = [64**level for level in range(LEVELS + 1)]  # in ticks: a slot of each level, and the whole wheel

Reaction = tuple[int, int, int]
Step = tuple[str, int, int]


@dataclass
class Reference:
    """Deadlines by timer. `latest` is the tick by which a timer must have fired."""

    tick: int
    deadlines: dict[int, int] = field(default_factory=dict)
    latest: dict[int, int] = field(default_factory=dict)
    freed: set[int] = field(default_factory=set)

    def do(self, kind: int, index: int, deadline: int) -> None:
        if index in self.freed:
            return
        self.deadlines.pop(index, None)
        self.latest.pop(index, None)
        if kind == SET:
            self.deadlines[index] = deadline
            self.latest[index] = max(deadline // TICK, self.tick) + 1
        elif kind == FREE:
            self.freed.add(index)

    def run(self, now: int, fired: Sequence[int], reactions: dict[int, list[Reaction]]) -> None:
        """Follow what the wheel did, and object to what it should not have done."""
        self.tick = now // TICK
        for index in fired:
            assert index in self.deadlines, f"timer {index} fired, but is not set"
            assert self.deadlines[index] <= now, f"timer {index} fired {self.deadlines[index] - now} ns early"
            self.do(CLEAR, index, 0)
            for kind, target, delay in reactions.get(index, ()):
                self.do(kind, target, now + delay)
        late = {index: tick for index, tick in self.latest.items() if tick <= self.tick}
        assert not late, f"at tick {self.tick} timers have not fired by their tick: {late}"


def play(start: int, reactions: dict[int, list[Reaction]], steps: Sequence[Step]) -> None:
    now = start
    wheel = Wheel(TIMERS, now)
    reference = Reference(now // TICK)
    for index, listed in reactions.items():
        wheel.react(index, listed)
    for name, index, span in steps:
        if name == "run":
            now += span
            reference.run(now, wheel.run(now), reactions)
            assert wheel.next(now) > 0, "what is due is left over, or the loop would spin"
        elif name == "sleep":  # as the loop does, to the moment that the wheel names
            now += min(wheel.next(now), span)
            reference.run(now, wheel.run(now), reactions)
        else:
            kind = {"set": SET, "clear": CLEAR, "remove": REMOVE, "free": FREE}[name]
            wheel.do(kind, index, now + span)
            reference.do(kind, index, now + span)
        if reference.latest:
            assert now + wheel.next(now) <= max(now, min(reference.latest.values()) * TICK)


def near(ticks: Sequence[int]) -> st.SearchStrategy[int]:
    """Nanoseconds near to, or a few times, so many ticks."""
    return st.builds(
        lambda base, times, ticks_off, off: max(0, (base * times + ticks_off) * TICK + off),
        st.sampled_from(ticks),
        st.integers(1, 70),
        st.integers(-2, 2),
        st.integers(0, TICK - 1),
    )


delays = st.one_of(st.integers(0, 3 * TICK), near(SPANS))
advances = st.one_of(st.integers(0, 3 * TICK), near(SPANS[:3]), near(SPANS[:4]))
timers = st.integers(0, TIMERS - 1)
later = st.integers(1, 200).map(lambda ticks: ticks * TICK)
reactions_of_one = st.lists(
    st.tuples(st.sampled_from([SET, SET, CLEAR, REMOVE, FREE]), timers, later), max_size=3
)
steps = st.one_of(
    st.tuples(st.just("set"), timers, delays),
    st.tuples(st.just("set"), timers, delays),
    st.tuples(st.sampled_from(["clear", "remove"]), timers, st.just(0)),
    st.tuples(st.just("run"), st.just(0), advances),
    st.tuples(st.just("sleep"), st.just(0), advances),
)
starts = st.builds(
    lambda span, times, off: max(TICK, span * times * TICK + off),
    st.sampled_from(SPANS),
    st.integers(1, 3),
    st.integers(-3 * TICK, 3 * TICK),
)


@settings(max_examples=400)
@given(starts, st.dictionaries(timers, reactions_of_one, max_size=3), st.lists(steps, max_size=40))
@example((SPANS[5] - 1) * TICK, {}, [("set", 0, 5 * TICK), ("run", 0, 7 * TICK)])
def test_the_wheel_does_as_the_reference(
    start: int, reactions: dict[int, list[Reaction]], steps: list[Step]
) -> None:
    play(start, reactions, steps)


@pytest.mark.parametrize("before", [1, 2, 63, 64, 65, 4095])
@pytest.mark.parametrize("level", range(LEVELS + 1))
def test_a_timer_set_just_before_a_level_wraps_fires_in_its_tick(level: int, before: int) -> None:
    start = (SPANS[level] * 64 * 64 - before) * TICK
    for ahead in (0, 1, before - 1, before, before + 1, 63, 64, 65, 4096):
        wheel = Wheel(1, start)
        wheel.do(SET, 0, start + ahead * TICK + 1)
        for tick in range(1, ahead + 1):
            assert wheel.run(start + tick * TICK) == []
        assert wheel.run(start + (ahead + 1) * TICK) == [0]
        assert wheel.next(start + (ahead + 1) * TICK) == NEVER


@pytest.mark.parametrize("span", SPANS[1:4])
def test_every_slot_of_a_level_fires_in_its_tick(span: int) -> None:
    start = 12345 * TICK
    for slot in range(1, 64):
        wheel = Wheel(1, start)
        deadline = start + slot * span * TICK
        wheel.do(SET, 0, deadline)
        assert wheel.run(deadline - 1) == []
        assert wheel.run(deadline + TICK) == [0]


def test_a_timer_farther_than_the_wheel_reaches_is_carried_along() -> None:
    start, ahead = 7 * TICK, SPANS[5] + 1000
    wheel = Wheel(1, start)
    deadline = start + ahead * TICK + 1
    wheel.do(SET, 0, deadline)
    now = start
    while now < deadline:
        assert wheel.run(now) == []
        now += wheel.next(now)
    assert now < deadline + TICK
    assert wheel.run(now) == [0]


def test_a_timer_that_moves_later_is_not_fired_where_it_was_filed() -> None:
    wheel = Wheel(1, TICK)
    wheel.do(SET, 0, 10 * TICK)
    for deadline in range(20, 100, 20):
        wheel.do(SET, 0, deadline * TICK)
        assert wheel.run((deadline - 5) * TICK) == []
    assert wheel.run(81 * TICK) == [0]


def test_a_timer_that_moves_earlier_is_filed_anew() -> None:
    wheel = Wheel(1, TICK)
    for deadline in (100_000, 5_000, 70, 3):
        wheel.do(SET, 0, deadline * TICK)
    assert wheel.next(TICK) <= 3 * TICK
    assert wheel.run(4 * TICK) == [0]
    assert wheel.run(200_000 * TICK) == []


@pytest.mark.parametrize("kind", [CLEAR, REMOVE, FREE])
def test_a_handler_silences_a_timer_that_is_due_with_it(kind: int) -> None:
    wheel = Wheel(3, TICK)
    for index in range(3):
        wheel.do(SET, index, 5 * TICK)
        wheel.react(index, [(kind, other, 0) for other in range(3) if other != index])
    assert len(wheel.run(6 * TICK)) == 1
    assert wheel.run(1000 * TICK) == []


def test_a_handler_frees_its_own_timer() -> None:
    wheel = Wheel(2, TICK)
    wheel.react(0, [(FREE, 0, 0)])
    for index in range(2):
        wheel.do(SET, index, 5 * TICK)
    assert sorted(wheel.run(6 * TICK)) == [0, 1]


def test_a_handler_that_sets_its_timer_again_is_called_once_a_period() -> None:
    wheel = Wheel(1, TICK)
    wheel.react(0, [(SET, 0, 10 * TICK)])
    wheel.do(SET, 0, 10 * TICK)
    fired = [tick for tick in range(2, 100) if wheel.run(tick * TICK)]
    assert fired == [11, 22, 33, 44, 55, 66, 77, 88, 99]


def test_a_handler_that_sets_its_timer_for_the_past_does_not_hold_the_run_up() -> None:
    wheel = Wheel(1, TICK)
    wheel.react(0, [(SET, 0, 0)])
    wheel.do(SET, 0, 2 * TICK)
    assert wheel.run(3 * TICK) == [0]
    assert 0 < wheel.next(3 * TICK) <= TICK
    assert wheel.run(4 * TICK) == [0]


def test_without_timers_there_is_nothing_to_wait_for() -> None:
    wheel = Wheel(1, TICK)
    assert wheel.next(TICK) == NEVER
    wheel.do(SET, 0, 5 * TICK)
    assert wheel.next(TICK) == 5 * TICK
    assert wheel.run(6 * TICK) == [0]
    assert wheel.next(6 * TICK) == NEVER


def test_a_clock_that_stands_still_fires_nothing() -> None:
    wheel = Wheel(1, 5 * TICK)
    wheel.do(SET, 0, 5 * TICK)
    assert wheel.run(5 * TICK) == []
    assert wheel.run(5 * TICK + TICK - 1) == []
    assert wheel.run(6 * TICK) == [0]
