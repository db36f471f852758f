"""The smallest automaton of its language (Hopcroft's partition refinement), as the table image holds it."""

from array import array
from typing import NamedTuple

from tulle.controlplane.regex.dfa import RawDfa


class Dfa(NamedTuple):
    """State 0 is dead, state 1 the start. `transitions` is uint16 [states][classes] in the machine's order,
    `accepting` a bit a state."""

    states: int
    classes: int
    byte_class: bytes
    transitions: bytes
    accepting: bytes

    @property
    def size(self) -> int:
        """Bytes in the image."""
        return 272 + len(self.transitions) + len(self.accepting)


def minimise(raw: RawDfa) -> Dfa:
    """The smallest automaton that accepts the same texts."""
    block_of = _partition(raw)
    numbers = {block_of[0]: 0}
    order = [0]
    if block_of[1] != block_of[0]:
        numbers[block_of[1]] = 1
    order.append(1)
    for state in range(2, len(raw.rows)):
        if block_of[state] not in numbers:
            numbers[block_of[state]] = len(order)
            order.append(state)
    rows = [[numbers[block_of[target]] for target in raw.rows[state]] for state in order]
    kept, byte_class = _merge_classes(rows, raw.byte_class)
    accepting = bytearray((len(order) + 7) // 8)
    for number, state in enumerate(order):
        if raw.accepting[state]:
            accepting[number >> 3] |= 1 << (number & 7)
    transitions = array("H", [row[column] for row in rows for column in kept])
    return Dfa(len(order), len(kept), byte_class, transitions.tobytes(), bytes(accepting))


def _partition(raw: RawDfa) -> list[int]:
    """The block of each state; states in one block accept the same rests."""
    count = len(raw.rows)
    classes = len(raw.rows[0])
    sources: list[list[list[int]]] = [[[] for _ in range(count)] for _ in range(classes)]
    for state, row in enumerate(raw.rows):
        for number, target in enumerate(row):
            sources[number][target].append(state)
    accepting = {state for state in range(count) if raw.accepting[state]}
    blocks = [block for block in (accepting, set(range(count)) - accepting) if block]
    block_of = [0] * count
    for index, block in enumerate(blocks):
        for state in block:
            block_of[state] = index
    smallest = min(range(len(blocks)), key=lambda index: len(blocks[index]))
    waiting = {(smallest, number) for number in range(classes)}
    while waiting:
        index, number = waiting.pop()
        hit: dict[int, list[int]] = {}
        into = sources[number]
        for target in blocks[index]:
            for state in into[target]:
                hit.setdefault(block_of[state], []).append(state)
        for other, states in hit.items():
            if len(states) == len(blocks[other]):
                continue
            part = set(states)
            blocks[other] -= part
            fresh = len(blocks)
            blocks.append(part)
            for state in part:
                block_of[state] = fresh
            for letter in range(classes):
                if (other, letter) in waiting or len(part) <= len(blocks[other]):
                    waiting.add((fresh, letter))
                else:
                    waiting.add((other, letter))
    return block_of


def _merge_classes(rows: list[list[int]], byte_class: bytes) -> tuple[list[int], bytes]:
    """The columns to keep, and the class of each byte among them: columns that are alike become one."""
    seen: dict[tuple[int, ...], int] = {}
    kept: list[int] = []
    renumbered = []
    for column, content in enumerate(zip(*rows, strict=True)):
        if content not in seen:
            seen[content] = len(kept)
            kept.append(column)
        renumbered.append(seen[content])
    return kept, bytes(renumbered[number] for number in byte_class)
