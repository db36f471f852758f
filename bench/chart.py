"""The chart, an SVG: for each scenario a group of bars of its first figure, one bar a peer."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.report import combined, number
from bench.run import Outcome

COLOURS = {
    "direct": "#c9cdd2",
    "relay": "#8b929c",
    "tulle": "#d6336c",
    "haproxy": "#1c7ed6",
    "nginx": "#2f9e44",
    "envoy": "#7048e8",
}
WIDTH = 760
LEFT = 80
RIGHT = 110
BAR = 16
GAP = 4
TITLE = 30
MARGIN = 16


def chart_text(outcomes: Sequence[Outcome]) -> str:
    """All scenarios one below the other; within a scenario the longest bar fills the width."""
    parts: list[str] = []
    top = MARGIN
    for outcome in outcomes:
        if outcome.samples:
            group, top = _group(outcome, top)
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
    title = f"{outcome.scenario.name}: {figure.title}, {figure.unit}".strip(", ")
    parts = [
        _text(MARGIN, top + 12, title, weight="bold"),
        _text(MARGIN, top + 25, outcome.scenario.about, size=10),
    ]
    y = top + TITLE + GAP
    for peer, value in values.items():
        width = max(1.0, (WIDTH - LEFT - RIGHT) * value / longest) if value in known else 1.0
        colour = COLOURS.get(peer, "#868e96")
        parts.append(_text(LEFT - 8, y + 12, peer, anchor="end"))
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{colour}"/>')
        parts.append(_text(LEFT + width + 6, y + 12, f"{number(value, figure.digits)} {figure.unit}"))
        y += BAR + GAP
    return parts, y + MARGIN


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 12
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
        f'fill="#212529">{escape(text)}</text>'
    )
