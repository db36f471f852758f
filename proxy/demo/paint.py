"""Coloured text as plain data: a line is a list of spans, made into terminal codes at the very end."""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class Style(Enum):
    """What a span means; the codes are ECMA-48's (SGR), in colours that the terminal's theme decides."""

    PLAIN = ""
    STRONG = "1"
    FAINT = "2"
    OLD = "34"
    NEW = "32"
    AREA = "32;44"  # the new version's colour on the old one's
    BAD = "31"
    WARM = "33"


class Span(NamedTuple):
    text: str
    style: Style = Style.PLAIN


Line = list[Span]


def paint(line: Iterable[Span], width: int, colours: bool) -> str:
    """One line of text, cut off at `width` columns; every character must be one column wide."""
    painted = []
    for text, style in line:
        text = text[:width]
        width -= len(text)
        painted.append(f"\x1b[{style.value}m{text}\x1b[0m" if colours and style.value and text else text)
    return "".join(painted)
