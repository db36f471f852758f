"""Lines for people about endpoints: when very many change at once, most are only counted."""

from collections.abc import Callable

from tulle.proxy import messages
from tulle.proxy.loop import current

MOST = 10  # lines a second


class Notices:
    """Says what it is given, and after the tenth in a second only how many more there were."""

    def __init__(self) -> None:
        self.said = 0
        self.left_out = 0

    def say(self, text: str) -> None:
        self._pass(messages.say, text)

    def warn(self, text: str) -> None:
        self._pass(messages.warn, text)

    def _pass(self, write: Callable[[str], None], text: str) -> None:
        if self.said == 0:
            current().call_later(1.0, self._next_second)
        self.said += 1
        if self.said <= MOST:
            write(text)
        else:
            self.left_out += 1

    def _next_second(self) -> None:
        if self.left_out:
            messages.warn(f"{self.left_out} more changes of health; see /clusters")
        self.said = self.left_out = 0
