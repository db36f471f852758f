"""Nondeterministic to deterministic automaton: subset construction over classes of bytes."""

from typing import NamedTuple

from tulle.controlplane.regex.nfa import Nfa
from tulle.controlplane.regex.syntax import PatternError

MOST_STATES = 10_000
MOST_WORK = 2_000_000  # states of the nondeterministic automaton looked at: about a second

States = frozenset[int]


class RawDfa(NamedTuple):
    """Before it is made small: state 0 is dead, state 1 the start; a row of targets for each state."""

    byte_class: bytes
    rows: list[list[int]]
    accepting: list[bool]


def determinise(nfa: Nfa) -> RawDfa:
    """PatternError when there would be too many states, or it would take too long."""
    byte_class, class_of_first = _byte_classes(nfa)
    classes = len(class_of_first)
    reach = _closures(nfa)
    moves = _moves_by_class(nfa, byte_class, reach)
    accepts = [nfa.final in found for found in _closures(nfa, nfa.ends)]

    start_set = _closure(nfa, nfa.start, (nfa.skips, nfa.begins))
    # at the beginning both kinds of anchors hold, so the start is a state of its own, whatever its set
    start_accepts = nfa.final in _closure(nfa, nfa.start, (nfa.skips, nfa.begins, nfa.ends))
    rows: list[list[int]] = [[0] * classes]
    accepting = [False, start_accepts]
    numbers: dict[States, int] = {frozenset(): 0}
    todo = [start_set]
    work = 0
    while len(rows) < len(accepting):
        states = todo[len(rows) - 1]
        targets: list[set[int]] = [set() for _ in range(classes)]
        for state in states:
            for number, reached in moves[state]:
                targets[number] |= reached
                work += len(reached)
        if work > MOST_WORK:
            raise PatternError("its automaton takes too long to make; make it simpler or split it")
        row = []
        for target in targets:
            key = frozenset(target)
            known = numbers.get(key)
            if known is None:
                known = numbers[key] = len(accepting)
                if known >= MOST_STATES:
                    raise PatternError(
                        f"its automaton has more than {MOST_STATES:,} states; make it simpler or split it"
                    )
                accepting.append(any(accepts[state] for state in key))
                todo.append(key)
            row.append(known)
        rows.append(row)
    return RawDfa(byte_class, rows, accepting)


def _byte_classes(nfa: Nfa) -> tuple[bytes, list[int]]:
    """The class of each byte, and the first byte of each class: bytes that no move tells apart are one."""
    cuts = {0}
    for moves in nfa.moves:
        for (first, last), _ in moves:
            cuts.add(first)
            cuts.add(last + 1)
    firsts = sorted(cut for cut in cuts if cut < 256)
    table = bytearray(256)
    for number, first in enumerate(firsts):
        for byte in range(first, 256):
            table[byte] = number
    return bytes(table), firsts


def _closure(nfa: Nfa, start: int, kinds: tuple[list[list[int]], ...]) -> States:
    """What is reached from a state without a byte, by skips of these kinds."""
    found = {start}
    todo = [start]
    while todo:
        state = todo.pop()
        for skips in kinds:
            for target in skips[state]:
                if target not in found:
                    found.add(target)
                    todo.append(target)
    return frozenset(found)


def _closures(nfa: Nfa, *more: list[list[int]]) -> list[States]:
    """Of each state that a byte may lead to (others stay empty), reduced to those that matter: with moves,
    ends, or final."""
    kinds = (nfa.skips, *more)
    closures: list[States] = [frozenset()] * len(nfa.moves)
    work = 0
    for state in range(len(nfa.moves)):
        found = _closure(nfa, state, kinds)
        work += len(found)
        if work > MOST_WORK:
            raise PatternError("its automaton takes too long to make; make it simpler or split it")
        closures[state] = frozenset(
            one for one in found if nfa.moves[one] or nfa.ends[one] or one == nfa.final
        )
    return closures


def _moves_by_class(nfa: Nfa, byte_class: bytes, reach: list[States]) -> list[list[tuple[int, States]]]:
    table = []
    for moves in nfa.moves:
        row: dict[int, States] = {}
        for (first, last), target in moves:
            for number in range(byte_class[first], byte_class[last] + 1):
                row[number] = row[number] | reach[target] if number in row else reach[target]
        table.append(list(row.items()))
    return table
