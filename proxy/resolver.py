"""Names of endpoints to addresses: asked for again and again; the last answer serves on when that fails."""

import contextlib
import socket
from collections.abc import Iterable
from functools import partial

from tulle.proxy.configuration import EndpointName
from tulle.proxy.loop import Future, current, spawn
from tulle.proxy.messages import say, warn
from tulle.proxy.waiting import Timeout, Turns

REFRESH = 5.0  # seconds
PATIENCE = 5.0  # seconds that a configuration waits for names that it is the first to have
MOST_THREADS = 8


class Resolver:
    """What is known of names. `answers` is by `EndpointName.key`, addresses sorted."""

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {}
        self.failing: dict[str, str] = {}  # reasons, by host
        self.turns = Turns(MOST_THREADS)

    async def learn(self, names: Iterable[EndpointName]) -> None:
        """Ask for the names that are not known yet, for a moment at most."""
        await self._ask([name for name in names if name.key not in self.answers], PATIENCE)

    async def refresh(self, names: Iterable[EndpointName]) -> None:
        """Ask for all of these again, and forget all others."""
        wanted = list(names)
        keys = {name.key for name in wanted}
        self.answers = {key: answer for key, answer in self.answers.items() if key in keys}
        await self._ask(wanted, None)

    async def _ask(self, names: list[EndpointName], patience: float | None) -> None:
        by_host: dict[str, list[EndpointName]] = {}
        for name in names:
            by_host.setdefault(name.host, []).append(name)
        if not by_host:
            return
        lookups = [spawn(self._host(host, named)) for host, named in by_host.items()]
        try:
            with contextlib.suppress(TimeoutError):
                async with Timeout(patience):
                    for lookup in lookups:
                        await lookup
        finally:
            for lookup in lookups:
                lookup.cancel()

    async def _host(self, host: str, names: list[EndpointName]) -> None:
        clusters = ", ".join(sorted({name.cluster for name in names}))
        async with self.turns:
            try:
                addresses = await look_up(host)
            except OSError as error:
                self._failed(host, clusters, error.strerror or str(error), names[0].key in self.answers)
                return
        if self.failing.pop(host, None):
            say(f"{host} (cluster {clusters}) is resolved again: {', '.join(addresses)}")
        for name in names:
            self.answers[name.key] = addresses

    def _failed(self, host: str, clusters: str, reason: str, known: bool) -> None:
        """Said once, until something changes."""
        if self.failing.get(host) != reason:
            effect = "its last addresses serve on" if known else "it has no endpoint there until it resolves"
            warn(f"cannot resolve {host} (cluster {clusters}): {reason}; {effect}")
        self.failing[host] = reason


async def look_up(host: str) -> list[str]:
    """The addresses of a host, sorted. OSError when it has none, or nobody answers.

    In a thread that nothing waits for: the system's resolver cannot be told to stop.
    """
    loop = current()
    future: Future[list[str]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            # addresses of one link only ("%eth0") mean nothing to others
            addresses = sorted({str(address[0]) for *_, address in found if "%" not in str(address[0])})
            settle = partial(future.set_result, addresses)
        except OSError as error:
            settle = partial(future.set_exception, error)
        with contextlib.suppress(OSError):  # the loop may have ended by now
            loop.call_threadsafe(settle)

    import threading  # only a proxy with names of endpoints needs it

    threading.Thread(target=ask, name="tulle-resolver", daemon=True).start()
    return await future
