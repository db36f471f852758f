"""The chart, an SVG: for each scenario a group of bars of its first figure, one bar a peer.

What a scenario tells of how a rate went in time is drawn below its bars, one line a peer.
"""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from bench.report import combined, number, timeline
from bench.run import Outcome

COLOURS = {
    "direct": "#c9cdd2",
    "relay": "#8b929c",
    "tulle": "#d6336c",
    "haproxy": "#1c7ed6",
    "nginx": "#2f9e44",
    "envoy": "#7048e8",
}
DASHES = ("", "6 3", "2 3", "8 3 2 3")
"""What tells the lines of one peer apart, which have one colour."""
WIDTH = 760
LEFT = 80
RIGHT = 110
LETTER = 6.8
"""What a letter takes at most on average, for names that need more than `LEFT`."""
BAR = 16
GAP = 4
TITLE = 30
MARGIN = 16
PLOT = 140


def chart_text(outcomes: Sequence[Outcome]) -> str:
    """All scenarios one below the other; within a scenario the longest bar fills the width."""
    parts: list[str] = []
    top = MARGIN
    for outcome in outcomes:
        if outcome.samples:
            group, top = _group(outcome, top)
            parts += group
            lines = {peer: line for peer in outcome.samples if (line := timeline(outcome, peer))}
            if lines:
                group, top = _lines(lines, top)
                parts += group
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _group(outcome: Outcome, top: int) -> tuple[list[str], int]:
    """The elements of one scenario that begins at `top`, and where the next one begins."""
    figure = outcome.scenario.figures[0]
    values = {peer: figures[figure.key] for peer, figures in combined(outcome).items()}
    known = [value for value in values.values() if math.isfinite(value) and value > 0]
    longest = max(known, default=1.0)
    left = max(LEFT, MARGIN + 8 + LETTER * max(map(len, values)))
    title = f"{outcome.scenario.name}: {figure.title}, {figure.unit}".strip(", ")
    parts = [
        _text(MARGIN, top + 12, title, weight="bold"),
        _text(MARGIN, top + 25, outcome.scenario.about, size=10),
    ]
    y = top + TITLE + GAP
    for peer, value in values.items():
        width = max(1.0, (WIDTH - left - RIGHT) * value / longest) if value in known else 1.0
        parts.append(_text(left - 8, y + 12, peer, anchor="end"))
        parts.append(
            f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{_colour(peer)}"/>'
        )
        unit = figure.unit if math.isfinite(value) else ""
        parts.append(_text(left + width + 6, y + 12, f"{number(value, figure.digits)} {unit}".rstrip()))
        y += BAR + GAP
    return parts, y + MARGIN


def _lines(lines: Mapping[str, Mapping[float, float]], top: int) -> tuple[list[str], int]:
    """The lines of one scenario in one plot, their names below it, and where the next one begins."""
    times = [time for line in lines.values() for time in line]
    first, last = min(times), max(times)
    highest = max(1.0, *(value for line in lines.values() for value in line.values()))
    across = (WIDTH - LEFT - MARGIN) / max(last - first, 1e-9)
    parts = [
        _text(LEFT - 8, top + 8, number(highest, 0), anchor="end", size=10),
        _text(LEFT - 8, top + PLOT, "0", anchor="end", size=10),
        _text(LEFT, top + PLOT + 12, f"{first:g} s", size=10),
        _text(WIDTH - MARGIN, top + PLOT + 12, f"{last:g} s", anchor="end", size=10),
        f'<path d="M{LEFT} {top}V{top + PLOT}H{WIDTH - MARGIN}" fill="none" stroke="#adb5bd"/>',
    ]
    y = top + PLOT + 16
    of_peer: dict[str, int] = {}
    for peer, line in lines.items():
        place = of_peer[peer.split()[0]] = of_peer.get(peer.split()[0], -1) + 1
        stroke = f'fill="none" stroke="{_colour(peer)}" stroke-dasharray="{DASHES[place % len(DASHES)]}"'
        points = " ".join(
            f"{LEFT + (time - first) * across:.1f},{top + PLOT * (1 - value / highest):.1f}"
            for time, value in line.items()
        )
        parts.append(f'<polyline points="{points}" stroke-width="1.5" {stroke}/>')
        y += BAR
        parts.append(f'<path d="M{LEFT} {y - 4}h40" stroke-width="1.5" {stroke}/>')
        parts.append(_text(LEFT + 48, y, peer, size=10))
    return parts, y + 2 * MARGIN


def _colour(peer: str) -> str:
    """Of a peer, whatever policy it was given."""
    return COLOURS.get(peer.split()[0], "#868e96")


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 12
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
        f'fill="#212529">{escape(text)}</text>'
    )
