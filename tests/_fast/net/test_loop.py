"""The loop: who is called and who is not any more, what waits for the next turn, when the dead are buried."""

import errno
import os

import pytest

from tests._fast.net.watches import (
    BURIED,
    EDGE,
    EVENTS_OF_A_TURN,
    IN,
    KILL,
    KILL_LATER,
    LOOK,
    OUT,
    READ,
    READY,
    READY_RUN,
    REPLACE,
    TIMER,
    Watches,
)

MILLISECOND = 1_000_000
MINUTE = 60_000 * MILLISECOND


def event(count: int = 1) -> int:
    """A descriptor that is readable from the start."""
    return os.eventfd(count, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError as error:
        assert error.errno == errno.EBADF
        return False
    return True


@pytest.fixture
def watches() -> Watches:
    return Watches()


# -- events -----------------------------------------------------------------------------------------------


def test_handlers_are_called_with_what_has_happened(watches: Watches) -> None:
    watches.add(event(0))
    readable, both = watches.add(event()), watches.add(event(), IN | OUT)
    assert watches.turn() == [(readable, IN), (both, IN | OUT)]
    assert watches.turn() == [(readable, IN), (both, IN | OUT)]  # level-triggered, and nobody has read
    watches.on(readable, [(READ, readable)])
    watches.turn()
    assert watches.turn() == [(both, IN | OUT)]


def test_an_edge_is_told_once(watches: Watches) -> None:
    descriptor = event()
    index = watches.add(descriptor, IN | EDGE)
    assert watches.turn() == [(index, IN)]
    assert watches.turn() == []
    os.eventfd_write(descriptor, 1)
    assert watches.turn() == [(index, IN)]


def test_more_events_than_a_turn_takes(watches: Watches) -> None:
    count = EVENTS_OF_A_TURN + 50
    for index in range(count):
        watches.on(watches.add(event()), [(READ, index)])
    first, second = watches.turn(), watches.turn()
    assert len(first) == EVENTS_OF_A_TURN
    assert sorted(first + second) == [(index, IN) for index in range(count)]
    assert watches.turn() == []


def test_who_is_yet_to_be_called_can_be_seen(watches: Watches) -> None:
    first, second = watches.add(event()), watches.add(event(), IN | OUT)
    watches.on(first, [(LOOK, second)])
    watches.turn()
    assert watches.seen == IN | OUT
    watches.on(first, [(LOOK, first)])
    watches.turn()
    assert watches.seen == 0


# -- killing ----------------------------------------------------------------------------------------------


def test_a_handler_silences_one_that_is_due_in_the_same_turn(watches: Watches) -> None:
    first, second, third = (watches.add(event()) for _ in range(3))
    watches.on(first, [(KILL, second)])
    assert watches.turn() == [(first, IN), (third, IN), (second, BURIED)]
    assert watches.turn() == [(first, IN), (third, IN)]


def test_a_handler_kills_its_own_watch(watches: Watches) -> None:
    descriptor = event()
    index = watches.add(descriptor)
    watches.on(index, [(KILL, index), (KILL, index), (READY, index)])
    assert watches.turn() == [(index, IN), (index, BURIED)]
    assert not is_open(descriptor)
    assert watches.turn() == []


def test_killing_between_turns(watches: Watches) -> None:
    index, other = watches.add(event()), watches.add(event())
    watches.make_ready(index)
    watches.kill(index)
    watches.kill(index)
    assert watches.turn() == [(other, IN), (index, BURIED)]


def test_the_grave_takes_others_with_it(watches: Watches) -> None:
    first, second, third = (watches.add(event()) for _ in range(3))
    watches.on(first, [(KILL, first), (KILL_LATER, third)])
    assert watches.turn() == [(first, IN), (second, IN), (third, IN), (first, BURIED), (third, BURIED)]
    assert watches.turn() == [(second, IN)]


def test_who_gets_the_number_of_a_closed_descriptor_does_not_get_its_events(watches: Watches) -> None:
    spare = event(0)
    watches.spare(spare)
    first, second = watches.add(event()), watches.add(event())
    watches.on(first, [(READ, first), (REPLACE, second)])
    assert watches.turn() == [(first, IN), (second, BURIED)]
    assert watches.turn() == []
    os.eventfd_write(spare, 1)
    assert watches.turn() == [(second + 1, IN)]
    os.close(spare)


def test_a_descriptor_that_others_have_open_is_deleted_before_it_is_killed(watches: Watches) -> None:
    descriptor = event()
    shared = os.dup(descriptor)
    index = watches.add(descriptor)
    watches.delete(index)
    watches.kill(index)
    assert watches.turn() == [(index, BURIED)]
    assert watches.turn() == []
    os.close(shared)


def test_the_end_of_the_loop_buries_who_is_left(watches: Watches) -> None:
    descriptors = [event(), event()]
    for descriptor in descriptors:
        watches.add(descriptor)
    del watches


# -- the ready list ---------------------------------------------------------------------------------------


def test_the_ready_run_after_the_events_in_their_order(watches: Watches) -> None:
    quiet = [watches.add(event(0)) for _ in range(3)]
    loud = watches.add(event())
    watches.on(loud, [(READY, quiet[2]), (READ, loud)])
    for index in (1, 0, 1):
        watches.make_ready(quiet[index])
    assert watches.turn() == [(loud, IN), *((quiet[index], READY_RUN) for index in (1, 0, 2))]
    assert watches.turn() == []


def test_who_makes_itself_ready_runs_once_a_turn(watches: Watches) -> None:
    """And who is made ready while its turn is still to come does not run twice for that."""
    first, second = watches.add(event(0)), watches.add(event(0))
    watches.on(first, [(READY, first), (READY, second)])
    watches.make_ready(first)
    assert watches.turn() == [(first, READY_RUN)]
    assert watches.turn() == [(first, READY_RUN), (second, READY_RUN)]
    assert watches.turn() == [(first, READY_RUN)]


def test_the_loop_does_not_sleep_while_somebody_is_ready(watches: Watches) -> None:
    index = watches.add(event(0))
    watches.set_timer(index, MINUTE)
    watches.turn()
    before = watches.now
    watches.make_ready(index)
    assert watches.turn(MINUTE) == [(index, READY_RUN)]
    assert watches.now - before < MINUTE // 6


@pytest.mark.parametrize("victim", [0, 2])
def test_the_ready_kill_each_other(watches: Watches, victim: int) -> None:
    """One that has run already and one that has not."""
    indexes = [watches.add(event(0)) for _ in range(3)]
    watches.on(indexes[1], [(KILL, indexes[victim])])
    for index in indexes:
        watches.make_ready(index)
    ran = [(index, READY_RUN) for index in indexes if index != 2 or victim != 2]
    assert watches.turn() == [*ran, (indexes[victim], BURIED)]
    assert watches.turn() == []


# -- time -------------------------------------------------------------------------------------------------


def test_the_loop_sleeps_until_a_timer_is_due_and_not_longer(watches: Watches) -> None:
    index = watches.add(event(0))
    watches.turn()
    for span in (MILLISECOND // 2, 5 * MILLISECOND, 30 * MILLISECOND):
        begun = watches.now
        watches.set_timer(index, span)
        fired: list[tuple[int, int]] = []
        while not fired:
            fired = watches.turn(MINUTE)
        assert fired == [(index, TIMER)]
        assert span <= watches.now - begun < span + MINUTE // 6


def test_the_loop_does_not_sleep_longer_than_it_is_told(watches: Watches) -> None:
    index = watches.add(event(0))
    watches.set_timer(index, 100 * MINUTE)
    watches.turn()
    begun = watches.now
    assert watches.turn(5 * MILLISECOND) == []
    assert 5 * MILLISECOND <= watches.now - begun < MINUTE // 6


def test_timers_run_after_the_ready_and_bury_in_the_same_turn(watches: Watches) -> None:
    first, second = watches.add(event(0)), watches.add(event(0))
    watches.on(first, [(KILL, first), (KILL, second)])
    watches.set_timer(first, 0)
    watches.set_timer(second, 2 * MINUTE)
    ended: list[tuple[int, int]] = []
    while not ended:
        watches.make_ready(second)
        ended = [entry for entry in watches.turn() if entry != (second, READY_RUN)]
    assert ended == [(first, TIMER), (first, BURIED), (second, BURIED)]
