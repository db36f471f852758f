"""What is said to people: one line each on stderr."""

import os
import sys
from contextlib import suppress

LEVELS = ("info", "warning", "error")
_least = [0]  # index of the level below which nothing is said


def set_level(level: str) -> None:
    """Say only what is at least that serious. ValueError for no such level."""
    _least[0] = LEVELS.index(level)


def colours() -> bool:
    """Whether stderr is a terminal whose user has nothing against colours (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Something to know."""
    _write(0, "tulle: ", text)


def warn(text: str) -> None:
    """Something to look into; the proxy goes on."""
    _write(1, "\x1b[33mtulle: \x1b[0m" if colours() else "tulle: ", text)


def complain(text: str) -> None:
    """Why something was refused or has failed."""
    _write(2, "\x1b[31mtulle: \x1b[0m" if colours() else "tulle: ", text)


def _write(level: int, prefix: str, text: str) -> None:
    if level < _least[0]:
        return
    with suppress(OSError, ValueError):  # nobody may listen
        sys.stderr.write(f"{prefix}{text}\n")
        sys.stderr.flush()
