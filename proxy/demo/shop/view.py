"""The figures as lines: a drawing that is redrawn in place, one plain line a second, and the last word."""

from collections.abc import Iterator, Mapping

from tulle.proxy.demo.figures import Figures
from tulle.proxy.demo.paint import Line, Span, Style
from tulle.proxy.demo.shop.ejected import Ejected
from tulle.proxy.demo.shop.rollout import Rollout
from tulle.proxy.demo.shop.services import REVIEWS, Service, server
from tulle.proxy.demo.view import LABEL, clock, count, milliseconds

WIDTH = 40  # columns of a bar
WEIGHED = 1.0  # seconds that the share of a version is taken over


class View:
    """What there is to see. Times are those of the event loop's clock."""

    def __init__(
        self, figures: Mapping[Service, Figures], rollout: Rollout, ejected: Ejected, unicode: bool
    ) -> None:
        self.figures = figures
        self.rollout = rollout
        self.ejected = ejected
        self.began = next(iter(figures.values())).began
        self.blocks = ("█", "░") if unicode else ("#", ".")

    @property
    def failed(self) -> int:
        """Requests that have failed, but for those to the service of which a version is broken."""
        return sum(own.failed for service, own in self.figures.items() if service != REVIEWS)

    @property
    def total(self) -> int:
        return sum(own.total for service, own in self.figures.items() if service != REVIEWS)

    def drawing(self, now: float) -> list[Line]:
        return [
            [],
            *(self._service(service, own, now) for service, own in self.figures.items()),
            [],
            self._bar(now),
            [Span(" " * LABEL), Span(self.rollout.doing)],
            [],
            [
                Span(f" {clock(now - self.began)}".ljust(LABEL), Style.STRONG),
                Span(f"{self._replaced()} replaced   ", Style.STRONG),
                Span(f"failed {self.failed:,} of {self.total:,}   ", self._style(self.failed)),
                Span("Ctrl-C to leave", Style.FAINT),
            ],
        ]

    def lines(self, now: float) -> Iterator[Line]:
        """How things are now."""
        parts = [
            f"{service.name} {own.recent(now).rate:.0f}/s failed {own.failed}"
            for service, own in self.figures.items()
        ]
        out = f"ejected {' '.join(self.ejected.hosts) or '-'}"
        shares = ", ".join(self._shares(now))
        yield [
            Span(f"{clock(now - self.began)} {' | '.join(parts)} | {out} | {self.rollout.doing} ({shares})")
        ]

    def last_word(self) -> list[Line]:
        deployments = count(len(self.rollout.done), "deployment")
        reviews = self.figures[REVIEWS]
        return [
            [
                Span(
                    f"{self.total:,} requests, {deployments} while they flowed, {self._replaced()} replaced: "
                ),
                Span(f"{self.failed} failed.", self._style(self.failed)),
            ],
            [
                Span(
                    f"{reviews.total:,} to the reviews, of which one instance always fails:"
                    f" {count(reviews.failed, 'error')}; put out {count(self.ejected.times, 'time')}."
                )
            ],
        ]

    def _replaced(self) -> str:
        return count(self.rollout.replaced, "instance")

    def _service(self, service: Service, own: Figures, now: float) -> Line:
        recent = own.recent(now)
        line = [
            Span(f" {service.name}".ljust(LABEL), Style.STRONG),
            Span(f"{recent.rate:4.0f} requests/s   "),
            Span(f"p50 {milliseconds(recent.median):>8}   p99 {milliseconds(recent.p99):>8}   "),
            Span(f"failed {own.failed:,} of {own.total:,}", self._style(own.failed)),
        ]
        if service == REVIEWS and self.ejected.hosts:
            line.append(Span(f"   put out: {' '.join(self.ejected.hosts)}", Style.WARM))
        return line

    def _bar(self, now: float) -> Line:
        """The new version grows over the old one."""
        share = self._share(now)
        wide = round(share * WIDTH)
        service, version = self.rollout.service, self._version()
        return [
            Span(f" {service.name} v{version}".ljust(LABEL), Style.STRONG),
            Span(self.blocks[0] * wide, Style.NEW),
            Span(self.blocks[1] * (WIDTH - wide), Style.OLD),
            Span(f" {100 * share:3.0f} %"),
        ]

    def _share(self, now: float) -> float:
        own = self.figures[self.rollout.service].recent(now, WEIGHED)
        return own.share(server(self.rollout.service, self._version()))

    def _shares(self, now: float) -> Iterator[str]:
        shares = self.figures[self.rollout.service].recent(now, WEIGHED).shares
        for name, share in sorted(shares.items()):
            yield f"{name} {100 * share:.0f} %"

    def _version(self) -> int:
        """The newest that is there or begins."""
        estate, service = self.rollout.estate, self.rollout.service
        return max(one.version for one in estate.all if one.service == service)

    @staticmethod
    def _style(failed: int) -> Style:
        return Style.BAD if failed else Style.NEW
