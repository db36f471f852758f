"""Where things are in a JSON text that is known to be well-formed."""

import json
import re
from bisect import bisect_right

from tulle.controlplane.problems import Path, Position, Positions

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class Lines:
    """Turns an offset into line and column."""

    def __init__(self, text: str | bytes) -> None:
        newline = "\n" if isinstance(text, str) else b"\n"
        self.starts = [0]
        position = text.find(newline)  # type: ignore[arg-type]
        while position >= 0:
            self.starts.append(position + 1)
            position = text.find(newline, position + 1)  # type: ignore[arg-type]

    def position(self, offset: int) -> Position:
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1


def locate_json(text: str) -> tuple[Positions, list[Path]]:
    """Where each key and each item begins, and the paths of keys that are there twice."""
    locator = _Locator(text)
    locator.value(next(locator.tokens), ())
    return locator.positions, locator.repeated


class _Locator:
    """Recursive descent over tokens."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.finditer(text)
        self.lines = Lines(text)
        self.positions: Positions = {}
        self.repeated: list[Path] = []

    def value(self, token: re.Match[str], path: Path) -> None:
        if token[0] == "{":
            self.object(path)
        elif token[0] == "[":
            self.array(path)

    def object(self, path: Path) -> None:
        token = next(self.tokens)
        while token[0] != "}":
            if token[0] == ",":
                token = next(self.tokens)
            inner = (*path, json.loads(token[0]))
            if inner in self.positions:
                self.repeated.append(inner)
            self.positions[inner] = self.lines.position(token.start())
            next(self.tokens)
            self.value(next(self.tokens), inner)
            token = next(self.tokens)

    def array(self, path: Path) -> None:
        token = next(self.tokens)
        index = 0
        while token[0] != "]":
            if token[0] == ",":
                token = next(self.tokens)
            inner = (*path, index)
            self.positions[inner] = self.lines.position(token.start())
            self.value(token, inner)
            index += 1
            token = next(self.tokens)
