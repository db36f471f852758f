"""An application beside its sidecar: begun when that is ready, ended in an order in which nothing is lost.

As the first process of a container it also reaps what others have left. Signals are taken one at a time, by
waiting for them: nothing happens between two of them.
"""

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from tulle.proxy.failure import Failure
from tulle.proxy.messages import say, warn

FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
)
ENDING = (signal.SIGTERM, signal.SIGINT)
HEARD = frozenset((*FORWARDED, signal.SIGCHLD))
LOOK = 0.05  # seconds between two looks whether the sidecar is ready
PATIENCE = 5.0  # seconds for an answer of the sidecar, beside what it was asked to wait


class Plan(NamedTuple):
    """`keep`: the listeners for outbound, as /drain_listeners takes them; times are seconds."""

    admin: str
    wait: float
    keep: tuple[str, ...]
    grace: float
    stops_sidecar: bool


def run(command: Sequence[str], plan: Plan) -> int:
    """Run it; its exit status, or 128 and the number of the signal that has ended it."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    try:
        ended = _await_sidecar(plan)
        if ended is not None:
            say(f"{signal.Signals(ended).name} came before the sidecar was ready: {command[0]} was not begun")
            return 128 + ended
        return _Application(command, plan, former).watch()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _await_sidecar(plan: Plan) -> int | None:
    """Until it is ready, or a signal ends the waiting: which. `Failure` when it takes too long."""
    deadline = time.monotonic() + plan.wait
    while True:
        reason = _not_ready(plan.admin)
        if reason is None:
            return None
        if time.monotonic() >= deadline:
            raise Failure(f"the sidecar was not ready within {plan.wait:g} s: {plan.admin} {reason}")
        heard = signal.sigtimedwait(ENDING, LOOK)
        if heard is not None:
            return heard.si_signo


class _Application:
    def __init__(self, command: Sequence[str], plan: Plan, mask: set[signal.Signals | int]) -> None:
        self.plan = plan
        self.draining: threading.Thread | None = None
        self.told = False
        try:
            self.process = subprocess.Popen(
                command, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            )
        except OSError as error:
            raise Failure(f"cannot run {command[0]}: {error.strerror}") from None

    def watch(self) -> int:
        """Until it has gone."""
        while True:
            status = self._reap()
            if status is not None:
                if self.plan.stops_sidecar:
                    _post(self.plan.admin, "/quitquitquit", PATIENCE)
                return status
            heard = signal.sigtimedwait(HEARD, LOOK) if self._is_draining() else signal.sigwaitinfo(HEARD)
            if heard is not None and heard.si_signo in ENDING:
                self._end(heard)
            elif heard is not None and heard.si_signo != signal.SIGCHLD:
                self._tell(heard.si_signo)
            if self.draining is not None and not self.draining.is_alive() and not self.told:
                self.told = True
                self._tell(signal.SIGTERM)

    def _is_draining(self) -> bool:
        return self.draining is not None and not self.told

    def _end(self, heard: "signal.struct_siginfo") -> None:
        """The first time nobody new comes in before it is told; then it is told at once."""
        if self.draining is not None:
            self.told = True
            self._tell(heard.si_signo)
            return
        keep = ",".join(self.plan.keep)
        path = f"/drain_listeners?keep={keep}&wait={self.plan.grace:g}"
        self.draining = threading.Thread(
            target=_post, args=(self.plan.admin, path, self.plan.grace + PATIENCE), daemon=True
        )
        self.draining.start()

    def _tell(self, number: int) -> None:
        try:
            os.kill(self.process.pid, number)  # which nobody but `_reap` reaps
        except OSError as error:
            warn(f"cannot pass on {signal.Signals(number).name}: {error.strerror}")

    def _reap(self) -> int | None:
        """All that have ended; the status of the application if it is among them."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == self.process.pid:
                code = os.waitstatus_to_exitcode(status)
                self.process.returncode = code
                found = code if code >= 0 else 128 - code


# -- the sidecar ------------------------------------------------------------------------------------------


class _Admin(http.client.HTTPConnection):
    """The admin server of a sidecar, also at a Unix socket."""

    def __init__(self, address: str, timeout: float) -> None:
        self.path = address.removeprefix("unix:") if address.startswith("unix:") else ""
        host, _, port = address.rpartition(":")
        if self.path:
            super().__init__("localhost", timeout=timeout)
        else:
            super().__init__(host.strip("[]"), int(port), timeout=timeout)

    def connect(self) -> None:
        if not self.path:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def _ask(admin: str, method: str, path: str, timeout: float) -> tuple[int, str]:
    connection = _Admin(admin, timeout)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read(4096).decode("utf-8", "replace").strip()
    finally:
        connection.close()


def _not_ready(admin: str) -> str | None:
    try:
        status, text = _ask(admin, "GET", "/ready", PATIENCE)
    except (OSError, http.client.HTTPException) as error:
        return f"gives no answer ({error})"
    return None if status == 200 else f"says {text or status}"


def _post(admin: str, path: str, timeout: float) -> None:
    try:
        status, text = _ask(admin, "POST", path, timeout)
    except (OSError, http.client.HTTPException) as error:
        warn(f"the sidecar gives no answer at {admin} ({error}); going on without it")
        return
    if status != 200:
        warn(f"the sidecar answers {status} to {path}: {text}")
