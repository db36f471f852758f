"""What is said to people: one line each on stderr."""

import os
import sys


def colours() -> bool:
    """Whether stderr is a terminal whose user has nothing against colours (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Something to know."""
    _write("tulle: ", text)


def warn(text: str) -> None:
    """Something to look into; the proxy goes on."""
    _write("\x1b[33mtulle: \x1b[0m" if colours() else "tulle: ", text)


def complain(text: str) -> None:
    """Why something was refused or has failed."""
    _write("\x1b[31mtulle: \x1b[0m" if colours() else "tulle: ", text)


def _write(prefix: str, text: str) -> None:
    try:
        sys.stderr.write(f"{prefix}{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody listens
