"""The checker's life, for the master: begun when a configuration has health checks, anew when it changes."""

from tulle.proxy.children import Children
from tulle.proxy.companion import Companion, Order
from tulle.proxy.configuration import Configuration
from tulle.proxy.shared import Shared


class HealthChecks:
    """Has the checker check what the configuration in use says."""

    def __init__(self, children: Children, shared: Shared) -> None:
        self.shared = shared
        self.pid = 0  # of the checker; 0 while there is none, or it has not said who it is
        self.configuration: Configuration | None = None
        self.checker = Companion(children, "checks endpoints", self._order, self._heard)

    def follow(self, configuration: Configuration) -> None:
        """Check what this configuration says from now on."""
        had = self.checker.wanted
        self.end()
        # one that finds nothing to check takes back what former checks have found
        if configuration.settings.health_checks or had:
            self.configuration = configuration
            self.checker.begin()

    def end(self) -> None:
        """Check nothing more."""
        self.pid = 0
        self.configuration = None
        self.checker.end()

    def _order(self) -> Order:
        assert self.configuration is not None
        descriptors = [self.shared.stats.descriptor, self.configuration.names, self.configuration.table]
        return Order({"task": "health"}, descriptors)

    def _heard(self, said: bytes) -> None:
        self.pid = int(said or 0)
