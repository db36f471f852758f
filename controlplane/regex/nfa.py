"""Tree to a nondeterministic automaton over bytes (Thompson's construction)."""

from typing import NamedTuple

from tulle.controlplane.regex.charset import CharSet, Range, utf8_sequences
from tulle.controlplane.regex.syntax import (
    AnyByte,
    Begin,
    Chars,
    Choice,
    End,
    Node,
    PatternError,
    Repeat,
    Sequence,
)

MOST_STATES = 50_000


class Nfa(NamedTuple):
    """States are indices. `skips` cost no byte; `begins` and `ends` are skips that hold only at the
    beginning or the end of the text."""

    start: int
    final: int
    moves: list[list[tuple[Range, int]]]
    skips: list[list[int]]
    begins: list[list[int]]
    ends: list[list[int]]


def build(tree: Node) -> Nfa:
    """The automaton of a tree; PatternError when it grows too large."""
    builder = _Builder()
    final = builder.state()
    start = builder.node(tree, final)
    return Nfa(start, final, builder.moves, builder.skips, builder.begins, builder.ends)


class _Builder:
    """Builds from the end to the beginning: a part is given the state that follows it."""

    def __init__(self) -> None:
        self.moves: list[list[tuple[Range, int]]] = []
        self.skips: list[list[int]] = []
        self.begins: list[list[int]] = []
        self.ends: list[list[int]] = []

    def state(self, *skips: int) -> int:
        if len(self.moves) >= MOST_STATES:
            raise PatternError("it repeats too much; use smaller counts")
        self.moves.append([])
        self.skips.append(list(skips))
        self.begins.append([])
        self.ends.append([])
        return len(self.moves) - 1

    def node(self, node: Node, after: int) -> int:
        """The state in which `node` begins, if `after` comes behind it."""
        match node:
            case Chars(chars):
                return self.chars(chars, after)
            case AnyByte():
                start = self.state()
                self.moves[start].append(((0, 255), after))
                return start
            case Sequence(parts):
                for part in reversed(parts):
                    after = self.node(part, after)
                return after
            case Choice(options):
                return self.state(*[self.node(option, after) for option in options])
            case Repeat(part, least, most):
                return self.repeat(part, least, most, after)
            case Begin():
                start = self.state()
                self.begins[start].append(after)
                return start
            case End():
                start = self.state()
                self.ends[start].append(after)
                return start

    def repeat(self, part: Node, least: int, most: int | None, after: int) -> int:
        if most is None:
            loop = self.state(after)
            self.skips[loop].append(self.node(part, loop))
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self.state(self.node(part, after), end)
        for _ in range(least):
            after = self.node(part, after)
        return after

    def chars(self, chars: CharSet, after: int) -> int:
        start = self.state()
        shared: dict[tuple[Range, int], int] = {}
        for sequence in utf8_sequences(chars):
            target = after
            for byte_range in reversed(sequence[1:]):
                key = (byte_range, target)
                if key not in shared:
                    shared[key] = self.state()
                    self.moves[shared[key]].append(key)
                target = shared[key]
            self.moves[start].append((sequence[0], target))
        return start
