"""Sets of characters as sorted ranges of code points, and the byte sequences of UTF-8 that they stand for."""

from collections.abc import Iterable, Iterator

Range = tuple[int, int]  # first and last, both in the set
CharSet = tuple[Range, ...]  # sorted, apart from each other

LAST = 0x10FFFF
MOST_FOLDED = 4096  # characters beyond ASCII whose other cases are looked up


def charset(ranges: Iterable[Range]) -> CharSet:
    """The union of any ranges."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def complement(chars: CharSet) -> CharSet:
    """Every other character."""
    rest: list[Range] = []
    start = 0
    for first, last in chars:
        if first > start:
            rest.append((start, first - 1))
        start = last + 1
    if start <= LAST:
        rest.append((start, LAST))
    return tuple(rest)


def fold(chars: CharSet) -> CharSet:
    """The set with the other case of each of its characters."""
    folded = list(chars)
    looked_up = 0
    for first, last in chars:
        for code in range(first, last + 1):
            looked_up += code > 0x7F
            if looked_up > MOST_FOLDED:
                break
            for other in _other_cases(code):
                folded.append((other, other))
    return charset(folded)


def _other_cases(code: int) -> Iterator[int]:
    char = chr(code)
    for other in (char.lower(), char.upper()):
        # ASCII stays ASCII: the kelvin sign and the long s are no letters of a URL
        if len(other) == 1 and other != char and (ord(other) < 0x80) == (code < 0x80):
            yield ord(other)


def utf8_sequences(chars: CharSet) -> Iterator[tuple[Range, ...]]:
    """The set in UTF-8: sequences of one to four byte ranges, which no two characters share."""
    todo = list(reversed(chars))
    while todo:
        first, last = todo.pop()
        cut = _cut(first, last)
        if cut is None:
            yield tuple(zip(chr(first).encode(), chr(last).encode(), strict=True))
            continue
        for part in reversed(cut):
            if part[0] <= part[1]:
                todo.append(part)


def _cut(first: int, last: int) -> tuple[Range, Range] | None:
    """Where a range must be cut so that its bytes form a box; None when they do."""
    if first <= 0xDFFF and last >= 0xD800:  # surrogates have no UTF-8
        return (first, 0xD7FF), (0xE000, last)
    for limit in (0x7F, 0x7FF, 0xFFFF):
        if first <= limit < last:
            return (first, limit), (limit + 1, last)
    if last <= 0x7F:
        return None
    for bits in (6, 12, 18):
        mask = (1 << bits) - 1
        if first & ~mask != last & ~mask:
            if first & mask:
                return (first, first | mask), ((first | mask) + 1, last)
            if last & mask != mask:
                return (first, (last & ~mask) - 1), (last & ~mask, last)
    return None
