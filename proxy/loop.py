"""The master's event loop: coroutines, timers, signals and descriptors on one epoll.

It does what the master needs and no more: asyncio, with all that it imports, would be a third of the master's
memory and of its start, and a sidecar stands beside every service. Names are asyncio's where the things are
the same; two things are simpler. Who is cancelled stops waiting, and what it waited for goes on. And there is
one loop at a time.
"""

import heapq
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Callback = Callable[..., object]


class Cancelled(BaseException):
    """Raised in a coroutine whose task is cancelled."""


class Future(Generic[T]):
    """A result that somebody will set. Awaiting it waits for that."""

    def __init__(self) -> None:
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], object]] = []
        self._error_seen = False

    def done(self) -> bool:
        return self._done

    def result(self) -> T:
        """What was set; raises what was set as exception, or RuntimeError when nothing was."""
        if not self._done:
            raise RuntimeError("there is no result yet")
        self._error_seen = True
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def set_result(self, value: T) -> None:
        """Only the first result counts: who is late has been given up."""
        self._settle(value, None)

    def set_exception(self, error: BaseException) -> None:
        self._settle(None, error)

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Call it with this future once it is done, in the loop's next turn at the earliest."""
        if self._done:
            current().call_soon(callback, self)
        else:
            self._callbacks.append(callback)

    def remove_done_callback(self, callback: Callable[[Any], object]) -> None:
        self._callbacks = [other for other in self._callbacks if other != callback]

    def _settle(self, value: T | None, error: BaseException | None) -> None:
        if self._done:
            return
        self._done, self._value, self._error = True, value, error
        for callback in self._callbacks:
            current().call_soon(callback, self)
        self._callbacks.clear()

    def __await__(self) -> Generator["Future[T]", None, T]:
        if not self._done:
            yield self
        return self.result()


class Task(Future[T]):
    """A coroutine that runs by itself; the future of what it returns. Begins in the loop's next turn."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        super().__init__()
        self._coroutine = coroutine
        self._waits_for: Future[Any] | None = None
        self._cancelling = False
        current().call_soon(self._step)

    def cancel(self) -> None:
        """Raise `Cancelled` where the coroutine waits. Of no effect once it is done."""
        if self._done or self._cancelling:
            return
        self._cancelling = True
        if self._waits_for is not None:
            self._waits_for.remove_done_callback(self._wake)
            self._waits_for = None
            current().call_soon(self._step)

    def _wake(self, future: Future[Any]) -> None:
        if self._waits_for is future:  # else it was cancelled meanwhile, and is stepped for that
            self._waits_for = None
            self._step()

    def _step(self) -> None:
        """Run the coroutine up to its next wait."""
        loop = current()
        loop.task = self
        try:
            if self._cancelling:
                self._cancelling = False
                waits_for = self._coroutine.throw(Cancelled())
            else:
                waits_for = self._coroutine.send(None)
        except StopIteration as end:
            self.set_result(end.value)
        except (Exception, Cancelled) as error:
            self._error_seen = isinstance(error, Cancelled)
            self.set_exception(error)
        else:
            self._waits_for = waits_for
            waits_for.add_done_callback(self._wake)
        finally:
            loop.task = None

    def __del__(self) -> None:
        if self._error is not None and not self._error_seen:
            sys.excepthook(type(self._error), self._error, self._error.__traceback__)


class Timer:
    """A call that is due at a time of the monotonic clock, unless it is cancelled."""

    def __init__(self, due: float, callback: Callback, arguments: tuple[Any, ...]) -> None:
        self.due = due
        self.callback: Callback | None = callback
        self.arguments = arguments

    def cancel(self) -> None:
        self.callback, self.arguments = None, ()

    def __lt__(self, other: "Timer") -> bool:
        return self.due < other.due


class Loop:
    """One loop; `run` makes it the current one."""

    def __init__(self) -> None:
        self.task: Task[Any] | None = None  # that runs now
        self._soon: deque[tuple[Callback, tuple[Any, ...]]] = deque()
        self._timers: list[Timer] = []
        self._epoll = select.epoll()
        self._watches: dict[int, dict[int, tuple[Callback, tuple[Any, ...]]]] = {}
        self._signals: dict[int, tuple[Callback, tuple[Any, ...]]] = {}
        self._waker, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.add_reader(self._waker, self._woken)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run until this coroutine is done; its result. What else was begun is then left where it is."""
        _loops.append(self)
        former = signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        try:
            main = Task(coroutine)
            while not main.done():
                self._turn()
            return main.result()
        finally:
            signal.set_wakeup_fd(former)
            for number in self._signals:
                signal.signal(number, signal.SIG_DFL)
            _loops.pop()
            self._epoll.close()
            os.close(self._waker)
            os.close(self._wake_writer)

    def call_soon(self, callback: Callback, *arguments: Any) -> None:
        """In the next turn."""
        self._soon.append((callback, arguments))

    def call_threadsafe(self, callback: Callback, *arguments: Any) -> None:
        """In the next turn, from another thread. OSError when the loop has ended."""
        self._soon.append((callback, arguments))
        with suppress(BlockingIOError):
            os.write(self._wake_writer, b"\0")

    def call_later(self, seconds: float, callback: Callback, *arguments: Any) -> Timer:
        timer = Timer(time.monotonic() + seconds, callback, arguments)
        heapq.heappush(self._timers, timer)
        return timer

    def on_signal(self, number: int, callback: Callback, *arguments: Any) -> None:
        """Call it in a turn after the signal has come."""
        self._signals[number] = (callback, arguments)
        signal.signal(number, lambda number, frame: None)
        signal.siginterrupt(number, False)

    # -- descriptors --------------------------------------------------------------------------------------

    def add_reader(self, descriptor: int, callback: Callback, *arguments: Any) -> None:
        """Call it in every turn in which there is something to read."""
        self._watch(descriptor, select.EPOLLIN, (callback, arguments))

    def add_writer(self, descriptor: int, callback: Callback, *arguments: Any) -> None:
        """Call it in every turn in which there is room to write."""
        self._watch(descriptor, select.EPOLLOUT, (callback, arguments))

    def remove_reader(self, descriptor: int) -> None:
        """To be called before the descriptor is closed; of no effect if there is none."""
        self._unwatch(descriptor, select.EPOLLIN)

    def remove_writer(self, descriptor: int) -> None:
        self._unwatch(descriptor, select.EPOLLOUT)

    def _watch(self, descriptor: int, event: int, call: tuple[Callback, tuple[Any, ...]]) -> None:
        watched = self._watches.setdefault(descriptor, {})
        known = bool(watched)
        watched[event] = call
        mask = sum(watched)
        if known:
            self._epoll.modify(descriptor, mask)
        else:
            self._epoll.register(descriptor, mask)

    def _unwatch(self, descriptor: int, event: int) -> None:
        watched = self._watches.get(descriptor)
        if watched is None or watched.pop(event, None) is None:
            return
        if watched:
            self._epoll.modify(descriptor, sum(watched))
        else:
            del self._watches[descriptor]
            with suppress(OSError):
                self._epoll.unregister(descriptor)

    # -- a turn -------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Wait for whatever comes first, and do all that is due."""
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        pause = -1.0
        if self._soon:
            pause = 0.0
        elif self._timers:
            pause = max(0.0, self._timers[0].due - time.monotonic())
        for descriptor, events in self._epoll.poll(pause):
            watched = self._watches.get(descriptor, {})
            for event, call in list(watched.items()):
                # an error or a hang-up is for whoever watches, and shows when it reads or writes
                if events & (event | select.EPOLLERR | select.EPOLLHUP) and watched.get(event) is call:
                    call[0](*call[1])
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self._soon.append((timer.callback, timer.arguments))
        for _ in range(len(self._soon)):
            callback, arguments = self._soon.popleft()
            callback(*arguments)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            for number in os.read(self._waker, 512):
                if number in self._signals:
                    callback, arguments = self._signals[number]
                    self._soon.append((callback, arguments))


_loops: list[Loop] = []


def current() -> Loop:
    """The loop that runs. RuntimeError when there is none."""
    if not _loops:
        raise RuntimeError("no loop runs")
    return _loops[-1]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own."""
    return Loop().run(coroutine)


def spawn(coroutine: Coroutine[Any, Any, T]) -> Task[T]:
    """Have a coroutine run by itself. Keep the task if you want to hear of its end."""
    return Task(coroutine)
