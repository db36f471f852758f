"""The figures as lines: a drawing that is redrawn in place, one plain line a second, and the last word."""

import math
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from tulle.proxy.demo import mesh
from tulle.proxy.demo.canary import SHARES, Canary
from tulle.proxy.demo.counters import Counters
from tulle.proxy.demo.figures import WINDOW, Figures, Recent
from tulle.proxy.demo.paint import Line, Span, Style

COLUMNS = 60  # seconds that the chart goes back
ROWS = 4
FEWEST = 0.25  # seconds that a share is taken over, however short ago the split has changed
LABEL = 13  # columns before the chart
BLOCKS = " ▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "   ..::##"
FOLLOWING = dict(pairwise((*SHARES, SHARES[0])))


class Second(NamedTuple):
    """One column of the chart: the new version's share of the answers, and whether a reload came in it."""

    share: float
    reloaded: bool


class View:
    """What there is to see. Times are those of the event loop's clock."""

    def __init__(
        self, shop: Figures, reports: Figures, counters: Counters, canary: Canary, unicode: bool
    ) -> None:
        self.shop = shop
        self.reports = reports
        self.counters = counters
        self.canary = canary
        self.began = shop.began
        self.history: deque[Second] = deque(maxlen=COLUMNS)
        self.reloads_drawn = 0
        self.changes_told = 0
        self.blocks = BLOCKS if unicode else PLAIN_BLOCKS
        self.arrow = "▲" if unicode else "^"

    def tick(self, now: float) -> None:
        """Once a second: another column."""
        reloads = self.canary.sidecar.reloads
        share = self.shop.recent(now, 1.0).share(mesh.NEW)
        self.history.append(Second(share, reloads > self.reloads_drawn))
        self.reloads_drawn = reloads

    def share(self, now: float) -> int:
        """Per cent of the answers that come from the new version, as the split is now."""
        since = now - self.canary.changes[-1].at if self.canary.changes else WINDOW
        return round(100 * self.shop.recent(now, min(max(since, FEWEST), WINDOW)).share(mesh.NEW))

    # -- redrawn in place ------------------------------------------------------------------------------------

    def drawing(self, now: float) -> list[Line]:
        shop, reports = self.shop.recent(now), self.reports.recent(now)
        return [
            [],
            _summary(" shop", shop, self.shop),
            *self._chart(self.share(now)),
            self._arrows(),
            self._last_change(),
            [Span(" " * LABEL), Span(self._next_change(now), Style.FAINT)],
            [],
            _summary(" reports", reports, self.reports),
            self._troubles(reports),
            [],
            self._footer(now),
        ]

    def _chart(self, share: int) -> Iterator[Line]:
        """The new version grows from below, the old one is what is left above it."""
        old, new = f"   v1 {100 - share:3d} %", f"   v2 {share:3d} %"
        labels = {0: Span(old, Style.OLD), ROWS - 1: Span(new, Style.NEW)}
        eighths = [round(second.share * ROWS * 8) for second in self.history]
        padding = " " * (COLUMNS - len(eighths))
        for row in range(ROWS):
            above = (ROWS - 1 - row) * 8
            cells = "".join(self.blocks[min(max(height - above, 0), 8)] for height in eighths)
            label = labels.get(row, Span(""))
            yield [label, Span(" " * (LABEL - len(label.text)) + padding), Span(cells, Style.AREA)]

    def _arrows(self) -> Line:
        marks = "".join(self.arrow if second.reloaded else " " for second in self.history)
        return [Span(" " * LABEL + marks.rjust(COLUMNS), Style.WARM)]

    def _last_change(self) -> Line:
        if not self.canary.step:
            return [Span(" " * LABEL + count(self.canary.sidecar.reloads, "reload"))]
        if not self.canary.changes:
            return [Span(" " * LABEL + f"asked for {split(self.canary.share)} (v1/v2)")]
        change = self.canary.changes[-1]
        took = f"served by every worker after {change.took * 1000:.0f} ms"
        return [
            Span(" " * LABEL),
            Span(f"{self.arrow} ", Style.WARM),
            Span(f"reload {len(self.canary.changes)}: {split(change.share)}, {took}"),
        ]

    def _next_change(self, now: float) -> str:
        if not self.canary.step:
            return "the split is yours: change the file, and send SIGHUP as above"
        left = max(self.canary.next_at - now, 0)
        return f"next: {split(FOLLOWING[self.canary.share])} in {math.ceil(left)} s"

    def _troubles(self, reports: Recent) -> Line:
        rate = self.counters.retry_rate()
        return [
            Span(" " * LABEL),
            Span(f"retries {per_second(rate)}   ", Style.WARM),
            Span(f"breaker overflow {per_second(reports.turned_away)}   ", Style.WARM),
            Span(f"errors {per_second(reports.failed)}", Style.BAD if reports.failed else Style.PLAIN),
        ]

    def _footer(self, now: float) -> Line:
        last = self.counters.last
        memory = f"sidecar: {last.memory / 1e6:.1f} MB with its {mesh.WORKERS} workers   " if last else ""
        return [
            Span(f" {clock(now - self.began)}".ljust(LABEL), Style.STRONG),
            Span(f"{memory}Ctrl-C to leave", Style.FAINT),
        ]

    # -- line by line ----------------------------------------------------------------------------------------

    def lines(self, now: float) -> Iterator[Line]:
        """What has changed since the last second, and how things are now."""
        while self.changes_told < len(self.canary.changes):
            change = self.canary.changes[self.changes_told]
            self.changes_told += 1
            took = f"served by every worker after {change.took * 1000:.0f} ms"
            yield [Span(f"{clock(now - self.began)} reloaded: {split(change.share)} (v1/v2), {took}")]
        shop, reports = self.shop.recent(now), self.reports.recent(now)
        retries = self.counters.retry_rate()
        share = self.share(now)
        yield [
            Span(
                f"{clock(now - self.began)} shop {shop.rate:.0f}/s"
                f" p50 {milliseconds(shop.median)} p99 {milliseconds(shop.p99)}"
                f" v1 {100 - share} % v2 {share} % failed {self.shop.failed}"
                f" | reports {reports.rate:.0f}/s"
                f" p50 {milliseconds(reports.median)} p99 {milliseconds(reports.p99)}"
                f" retries {per_second(retries)}"
                f" overflow {per_second(reports.turned_away)} errors {per_second(reports.failed)}"
            )
        ]

    def last_word(self) -> list[Line]:
        shop, reports = self.shop, self.reports
        reloads = self.canary.sidecar.reloads
        lines = [
            [
                Span(f"{shop.total:,} requests to the shop, {count(reloads, 'reload')} while they flowed: "),
                Span(f"{shop.failed} failed.", Style.BAD if shop.failed else Style.NEW),
            ]
        ]
        parts = [
            f"{reports.turned_away:,} turned away by the circuit breaker",
            count(reports.failed, "error"),
        ]
        if self.counters.last:
            parts.insert(0, count(self.counters.last.retries, "retry", "retries"))
        return [*lines, [Span(f"{reports.total:,} to the reports: {', '.join(parts)}.")]]


def _summary(name: str, recent: Recent, figures: Figures) -> Line:
    return [
        Span(name.ljust(LABEL), Style.STRONG),
        Span(f"{recent.rate:.0f} requests/s   "),
        Span(f"p50 {milliseconds(recent.median)}   p99 {milliseconds(recent.p99)}   "),
        Span(f"failed {figures.failed:,} of {figures.total:,}", Style.BAD if figures.failed else Style.NEW),
    ]


def per_second(rate: float | None) -> str:
    """`-` for what is not known."""
    return "-" if rate is None else f"{rate:.1f}/s"


def split(share: int) -> str:
    """The weights of old and new version, as people say it: `90/10`."""
    return f"{100 - share}/{share}"


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def milliseconds(seconds: float) -> str:
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
