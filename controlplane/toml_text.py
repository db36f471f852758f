"""Where things are in a TOML text that is known to be well-formed."""

import re
import tomllib

from tulle.controlplane.json_text import Lines
from tulle.controlplane.problems import Path, Positions

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_OTHER = re.compile(r"[^,\]}#\n]+")


def locate_toml(text: str) -> Positions:
    """Where each key and each item begins."""
    locator = _Locator(text.replace("\r\n", "\n"))
    locator.document()
    return locator.positions


class _Locator:
    """Recursive descent; `at` is the next character. `tables` counts the items of arrays of tables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines = Lines(text)
        self.positions: Positions = {}
        self.tables: dict[Path, int] = {}

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match[0]

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def note(self, path: Path, offset: int) -> None:
        self.positions.setdefault(path, self.lines.position(offset))

    def document(self) -> None:
        table: Path = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            if self.peek() == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip(_BLANK)

    def header(self) -> Path:
        """`[table]` or `[[array of tables]]`; the path of what follows."""
        start = self.at
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        keys = self.keys()
        self.at += 2 if array else 1
        path: Path = ()
        for index, key in enumerate(keys):
            path = (*path, key)
            if array and index == len(keys) - 1:
                self.tables[path] = self.tables.get(path, -1) + 1
            self.note(path, start)
            if path in self.tables:
                path = (*path, self.tables[path])
                self.note(path, start)
        return path

    def keys(self) -> list[str]:
        """A dotted key."""
        keys = []
        while True:
            self.skip(_SPACE)
            if self.peek() in "\"'":
                keys.append(str(tomllib.loads(f"x = {self.skip(_STRING)}")["x"]))
            else:
                keys.append(self.skip(_BARE))
            self.skip(_SPACE)
            if self.peek() != ".":
                return keys
            self.at += 1

    def pair(self, table: Path) -> None:
        start = self.at
        path = table
        for key in self.keys():
            path = (*path, key)
            self.note(path, start)
        self.at += 1  # the equals sign
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        if self.peek() == "[":
            self.array(path)
        elif self.peek() == "{":
            self.inline_table(path)
        elif self.peek() in "\"'":
            self.skip(_STRING)
        else:
            self.skip(_OTHER)

    def array(self, path: Path) -> None:
        self.at += 1
        index = 0
        self.skip(_BLANK)
        while self.peek() != "]":
            inner = (*path, index)
            self.note(inner, self.at)
            self.value(inner)
            self.skip(_BLANK)
            if self.peek() == ",":
                self.at += 1
                self.skip(_BLANK)
            index += 1
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        self.skip(_BLANK)
        while self.peek() != "}":
            self.pair(path)
            self.skip(_BLANK)
            if self.peek() == ",":
                self.at += 1
                self.skip(_BLANK)
        self.at += 1
