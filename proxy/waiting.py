"""What coroutines wait with: pauses, time limits, turns and queues. See `loop`."""

from collections import deque
from types import TracebackType
from typing import Any, Generic, TypeVar

from tulle.proxy.loop import Cancelled, Future, Timer, current

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    pause: Future[None] = Future()
    timer = current().call_later(seconds, pause.set_result, None)
    try:
        await pause
    finally:
        timer.cancel()


async def first(*futures: Future[Any]) -> None:
    """Wait until one of these is done; the others go on."""
    any_done: Future[None] = Future()

    def settle(future: Future[Any]) -> None:
        any_done.set_result(None)

    for future in futures:
        future.add_done_callback(settle)
    try:
        await any_done
    finally:
        for future in futures:
            future.remove_done_callback(settle)


class Timeout:
    """`async with Timeout(seconds)`: TimeoutError when what is inside takes longer. None is without limit."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.timer: Timer | None = None
        self.expired = False

    async def __aenter__(self) -> None:
        task = current().task
        assert task is not None

        def expire() -> None:
            self.expired = True
            task.cancel()

        if self.seconds is not None:
            self.timer = current().call_later(self.seconds, expire)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.expired and kind is not None and issubclass(kind, Cancelled):
            raise TimeoutError from None


class Turns:
    """At most so many are inside at once, the others wait in their order: `async with turns`."""

    def __init__(self, most: int = 1) -> None:
        self.free = most
        self.waiting: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self.free > 0:
            self.free -= 1
            return
        turn: Future[None] = Future()
        self.waiting.append(turn)
        try:
            await turn
        except Cancelled:
            if turn.done():
                self._pass_on()  # it came too late
            else:
                self.waiting.remove(turn)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        if self.waiting:
            self.waiting.popleft().set_result(None)
        else:
            self.free += 1


class Queue(Generic[T]):
    """What one puts in, another takes out, in the same order."""

    def __init__(self) -> None:
        self.items: deque[T] = deque()
        self.filled: Future[None] = Future()

    def put(self, item: T) -> None:
        self.items.append(item)
        self.filled.set_result(None)

    async def get(self) -> T:
        """The next item, when there is one."""
        while not self.items:
            self.filled = Future()
            await self.filled
        return self.items.popleft()
