"""Where the figures go: a part of the terminal that is redrawn in place, or plain lines, one by one."""

import os
import shutil
import sys
from typing import TextIO

from tulle.proxy.demo.paint import Line, paint

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
CLEAR_LINE, CLEAR_BELOW = "\x1b[K", "\x1b[J"
LEAST_COLUMNS = 60


class Terminal:
    """Writes to `stream`. `live` says whether lines can be redrawn."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self.stream = stream
        self.live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.colours = self.live and not os.environ.get("NO_COLOR")
        self.unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self.drawn = 0  # lines that the next drawing goes over

    @property
    def width(self) -> int:
        return max(shutil.get_terminal_size((100, 24)).columns, LEAST_COLUMNS)

    @property
    def height(self) -> int:
        return shutil.get_terminal_size((100, 24)).lines

    def print(self, *lines: Line) -> None:
        """Lines that stay, whole, above what is redrawn."""
        self._write([self._to_top(), *(self._end(line, sys.maxsize) for line in lines)])
        self.drawn = 0

    def draw(self, lines: list[Line]) -> None:
        """Lines in place of those drawn last; as many as fit on the screen."""
        lines = lines[: self.height - 1]
        self._write([HIDE_CURSOR, self._to_top(), *(self._end(line, self.width) for line in lines)])
        self.drawn = len(lines)

    def close(self) -> None:
        """Leave the last drawing where it is and give the cursor back."""
        self.drawn = 0
        if self.live:
            self._write([SHOW_CURSOR])

    def _to_top(self) -> str:
        return f"\r\x1b[{self.drawn}A{CLEAR_BELOW}" if self.drawn else ""

    def _end(self, line: Line, width: int) -> str:
        clear = CLEAR_LINE if self.live else ""
        return f"{paint(line, width, self.colours)}{clear}\n"

    def _write(self, parts: list[str]) -> None:
        text = "".join(parts)
        if not self.unicode:
            text = text.encode("ascii", "replace").decode()
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            pass  # nobody looks any more
