"""The blocks of a PEM text (RFC 7468), each with its line, so that an error can say where."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_BEGIN = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----[ \t\r]*$", re.MULTILINE)


class Block(NamedTuple):
    """`text` is the whole block with its two lines; None when its last line is missing."""

    label: str
    line: int  # of its first line, from 1
    text: bytes | None


def blocks(data: bytes) -> Iterator[Block]:
    """All blocks in their order. What stands between them is for people and counts for nothing."""
    position = 0
    while begin := _BEGIN.search(data, position):
        line = data.count(b"\n", 0, begin.start()) + 1
        label = begin[1].decode()
        end_line = re.compile(rb"^-----END " + re.escape(begin[1]) + rb"-----", re.MULTILINE)
        end = end_line.search(data, begin.end())
        following = _BEGIN.search(data, begin.end())
        if end is None or (following is not None and following.start() < end.start()):
            yield Block(label, line, None)
            position = begin.end()
        else:
            yield Block(label, line, data[begin.start() : end.end()] + b"\n")
            position = end.end()
