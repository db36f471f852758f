"""RE2's syntax to a tree. Capturing and greediness mean nothing for a whole match and are dropped.

Not taken, though RE2 has them: `\\b` and `\\B`, `(?m)`, Unicode classes `\\p{..}`.
"""

import re
from typing import NamedTuple

from tulle.controlplane.regex.charset import LAST, CharSet, Range, charset, complement, fold

MOST_REPEATS = 1000
DEEPEST = 100
LONGEST = 4096


class PatternError(ValueError):
    """Why a pattern cannot be used."""


class Chars(NamedTuple):
    """One character of a set."""

    chars: CharSet


class AnyByte(NamedTuple):
    """One byte, whatever it is."""


class Sequence(NamedTuple):
    parts: tuple["Node", ...]


class Choice(NamedTuple):
    options: tuple["Node", ...]


class Repeat(NamedTuple):
    part: "Node"
    least: int
    most: int | None  # None: any number


class Begin(NamedTuple):
    """The beginning of the text."""


class End(NamedTuple):
    """The end of the text."""


Node = Chars | AnyByte | Sequence | Choice | Repeat | Begin | End

_NEWLINE = 10
_DIGITS: CharSet = ((48, 57),)
_WORDS: CharSet = charset([(48, 57), (65, 90), (95, 95), (97, 122)])
_SPACES: CharSet = charset([(9, 10), (12, 13), (32, 32)])
_CLASSES = {
    "d": _DIGITS, "D": complement(_DIGITS), "w": _WORDS, "W": complement(_WORDS), "s": _SPACES,
    "S": complement(_SPACES),
}  # fmt: skip
_POSIX: dict[str, CharSet] = {
    "alnum": charset([(48, 57), (65, 90), (97, 122)]), "alpha": charset([(65, 90), (97, 122)]),
    "ascii": ((0, 127),), "blank": charset([(9, 9), (32, 32)]), "cntrl": charset([(0, 31), (127, 127)]),
    "digit": _DIGITS, "graph": ((33, 126),), "lower": ((97, 122),), "print": ((32, 126),),
    "punct": charset([(33, 47), (58, 64), (91, 96), (123, 126)]), "space": charset([(9, 13), (32, 32)]),
    "upper": ((65, 90),), "word": _WORDS, "xdigit": charset([(48, 57), (65, 70), (97, 102)]),
}  # fmt: skip
_WIDTHLESS_OR_BYTE: dict[str, Node] = {"A": Begin(), "z": End(), "C": AnyByte()}
_ESCAPES = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_GROUP = re.compile(r"\?(?:P?<([A-Za-z_][A-Za-z0-9_]*)>|([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)]))")
_COUNT = re.compile(r"\{([0-9]{1,6})(,([0-9]{0,6}))?\}")
_REFUSED_GROUPS = {
    "?=": "lookahead", "?!": "lookahead", "?<=": "lookbehind", "?<!": "lookbehind", "?>": "an atomic group",
    "?P=": "a backreference", "?P>": "recursion", "?R": "recursion", "?(": "a condition", "?#": "a comment",
}  # fmt: skip


def parse(pattern: str) -> Node:
    """The tree of a pattern; PatternError says what is wrong, and where."""
    if len(pattern) > LONGEST:
        raise PatternError(f"it has {len(pattern):,} characters, more than {LONGEST:,}")
    return _Parser(pattern).whole()


class _Flags(NamedTuple):
    ignore_case: bool = False
    dot_all: bool = False


class _Parser:
    """Recursive descent; `at` is the next character, `flags` are those in force there."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0
        self.flags = _Flags()

    def whole(self) -> Node:
        tree = self.choice()
        if self.at < len(self.pattern):
            raise self.error("there is no group for this )")
        return tree

    def error(self, message: str) -> PatternError:
        return PatternError(
            f"{message}, at {self.pattern[self.at : self.at + 12]!r} (character {self.at + 1})"
        )

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self, text: str) -> bool:
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    # -- structure ------------------------------------------------------------------------------------

    def choice(self) -> Node:
        before = self.flags
        options = [self.sequence()]
        while self.take("|"):
            options.append(self.sequence())
        self.flags = before
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.pattern) and self.peek() not in "|)":
            if self.take("\\Q"):
                parts += self.quoted()
                continue
            parts.append(self.repeated(self.atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def quoted(self) -> list[Node]:
        end = self.pattern.find("\\E", self.at)
        text = self.pattern[self.at :] if end < 0 else self.pattern[self.at : end]
        self.at = len(self.pattern) if end < 0 else end + 2
        return [self.literal(ord(char)) for char in text]

    def repeated(self, part: Node) -> Node:
        repeats = 0
        while True:
            bounds = self.repetition()
            if bounds is None:
                return part
            if repeats:
                raise self.error("a repetition repeated; put the first into a group (?:...)")
            repeats += 1
            part = Repeat(part, *bounds)
            if self.take("?"):
                continue
            if self.peek() == "+":
                raise self.error("a possessive repetition cannot be a finite automaton")

    def repetition(self) -> tuple[int, int | None] | None:
        for mark, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(mark):
                return bounds
        match = _COUNT.match(self.pattern, self.at)
        if match is None:
            return None
        least = int(match[1])
        most = least if match[2] is None else int(match[3]) if match[3] else None
        if least > MOST_REPEATS or (most is not None and (most > MOST_REPEATS or most < least)):
            raise self.error(f"a count must go from low to high, at most {MOST_REPEATS}")
        self.at = match.end()
        return least, most

    def atom(self) -> Node:
        char = self.peek()
        if char == "(":
            return self.group()
        if char == "[":
            return Chars(self.char_class())
        if char == "\\":
            return self.escape()
        if char in "*+?":
            raise self.error("there is nothing to repeat")
        self.at += 1
        if char == ".":
            return Chars(((0, LAST),) if self.flags.dot_all else complement(((_NEWLINE, _NEWLINE),)))
        if char == "^":
            return Begin()
        if char == "$":
            return End()
        return self.literal(ord(char))

    def literal(self, code: int) -> Node:
        if 0xD800 <= code <= 0xDFFF:
            raise self.error("a surrogate is no character")
        return Chars(self.folded(((code, code),)))

    def folded(self, chars: CharSet) -> CharSet:
        return fold(chars) if self.flags.ignore_case else chars

    # -- groups ---------------------------------------------------------------------------------------

    def group(self) -> Node:
        self.at += 1
        if self.peek() == "?":
            for mark in sorted(_REFUSED_GROUPS, key=len, reverse=True):
                if self.pattern.startswith(mark, self.at):
                    raise self.error(f"{_REFUSED_GROUPS[mark]} cannot be a finite automaton or is not in RE2")
            match = _GROUP.match(self.pattern, self.at)
            if match is None:
                raise self.error("this kind of group is not known")
            if match[1] is None:
                changed = self.changed_flags(match[2], match[3] or "")
                self.at = match.end()
                if match[4] == ")":
                    self.flags = changed
                    return Sequence(())
                return self.inside(changed)
            self.at = match.end()
        return self.inside(self.flags)

    def inside(self, flags: _Flags) -> Node:
        """The rest of a group, in which these flags hold."""
        before = self.flags
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"groups are nested more than {DEEPEST} deep")
        self.flags = flags
        tree = self.choice()
        if not self.take(")"):
            raise self.error("a group is not closed")
        self.flags = before
        self.depth -= 1
        return tree

    def changed_flags(self, on: str, off: str) -> _Flags:
        flags = self.flags
        for letters, value in ((on, True), (off, False)):
            for letter in letters:
                if letter == "i":
                    flags = flags._replace(ignore_case=value)
                elif letter == "s":
                    flags = flags._replace(dot_all=value)
                elif letter == "m" and value:
                    raise self.error("(?m) is not taken: a header or a path is one line")
                elif letter not in "mU":
                    raise self.error(f"the flag {letter!r} is not in RE2")
        return flags

    # -- escapes and classes --------------------------------------------------------------------------

    def escape(self) -> Node:
        char = self.pattern[self.at + 1 : self.at + 2]
        if char in _WIDTHLESS_OR_BYTE:
            self.at += 2
            return _WIDTHLESS_OR_BYTE[char]
        if char in ("b", "B"):
            raise self.error("word boundaries are not taken")
        if char and char in "123456789":
            raise self.error("a backreference cannot be a finite automaton")
        if char in ("k", "g"):
            raise self.error("a backreference cannot be a finite automaton")
        found = self.escaped_set()
        return Chars(found) if found is not None else self.literal(self.escaped_char())

    def escaped_set(self) -> CharSet | None:
        """The set of `\\d` and the like, or None when the escape is one of a single character."""
        char = self.pattern[self.at + 1 : self.at + 2]
        if char in ("p", "P"):
            raise self.error("Unicode classes are not taken; write out the ranges")
        if char in _CLASSES:
            self.at += 2
            return _CLASSES[char]
        return None

    def escaped_char(self) -> int:
        char = self.pattern[self.at + 1 : self.at + 2]
        if not char:
            raise self.error("a lone backslash at the end")
        if char == "x":
            match = re.compile(r"\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})").match(self.pattern, self.at)
            if match is None or int(match[1] or match[2], 16) > LAST:
                raise self.error(r"\x needs two hexadecimal digits, or a code point in braces")
            self.at = match.end()
            return int(match[1] or match[2], 16)
        if char == "0":
            match = re.compile(r"\\(0[0-7]{0,2})").match(self.pattern, self.at)
            self.at = match.end() if match else self.at
            return int(match[1], 8) if match else 0
        if char in _ESCAPES:
            self.at += 2
            return _ESCAPES[char]
        if char.isascii() and char.isalnum():
            raise self.error(f"the escape \\{char} is not known")
        self.at += 2
        return ord(char)

    def char_class(self) -> CharSet:
        start = self.at
        self.at += 1
        negated = self.take("^")
        ranges: list[Range] = []
        first = True
        while first or self.peek() != "]":
            if self.at >= len(self.pattern):
                self.at = start
                raise self.error("a class [ is not closed")
            first = False
            ranges += self.class_item()
        self.at += 1
        chars = self.folded(charset(ranges))
        return complement(chars) if negated else chars

    def class_item(self) -> CharSet:
        posix = re.compile(r"\[:(\^?)([a-z]+):\]").match(self.pattern, self.at)
        if posix:
            if posix[2] not in _POSIX:
                raise self.error(f"the class [:{posix[2]}:] is not known")
            self.at = posix.end()
            return complement(_POSIX[posix[2]]) if posix[1] else _POSIX[posix[2]]
        if self.peek() == "\\":
            found = self.escaped_set()
            if found is not None:
                return found
        low = self.class_char()
        if self.peek() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
            return ((low, low),)
        self.at += 1
        high = self.class_char()
        if high < low:
            raise self.error("a range goes from low to high")
        return ((low, high),)

    def class_char(self) -> int:
        if self.peek() == "\\":
            return self.escaped_char()
        if not self.peek():
            raise self.error("a class [ is not closed")
        self.at += 1
        return ord(self.pattern[self.at - 1])
