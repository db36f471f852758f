"""A sidecar as people start it, in its own processes, and its figures out of the memory that they share."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests._fast.flow.peers import PATIENCE
from tests.descriptors import open_files
from tulle._fast.base import figures
from tulle._fast.base.stats import Stats

ROOT = Path(__file__).parents[3]
START_SECONDS = 60.0  # under the sanitizers, on a busy machine
GAUGES = ("downstream_active", "upstream_active", "requests_active", "tunnels_active")


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a condition that other processes bring about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.0005)


class Sidecar:
    """`tulle proxy -c FILE` with this configuration, as JSON."""

    def __init__(self, config: dict[str, Any], folder: Path, open_files: int | None = None) -> None:
        self.folder = folder
        self.file = folder / "tulle.json"
        self.log = folder / "sidecar.log"
        self.write(config)
        limit = ["prlimit", f"--nofile={open_files}:{open_files}"] if open_files else []
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*limit, sys.executable, "-m", "tulle", "proxy", "-c", str(self.file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,
            )
        try:
            self.wait_for_line("ready: ", 1, START_SECONDS)
            self.ports = listening_ports(self.process.pid)
            self.stats = Stats(shared_memory(self.process.pid))
        except BaseException:
            self.kill()
            raise

    def write(self, config: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(config))

    def connect(self, host: str = "127.0.0.1", source: str = "") -> socket.socket:
        """To the listener on this address of loopback, from another of them if that is to be so."""
        return socket.create_connection((host, self.ports[host]), PATIENCE, (source, 0) if source else None)

    # -- its processes ---------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[int]:
        """Process ids of those that serve."""
        lanes = [self.stats.lane(index) for index in range(self.stats.lanes_used)]
        return [lane["pid"] for lane in lanes if lane["state"] == 1 and lane["pid"]]

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """No worker runs meanwhile: what happens is one batch of events for it when it wakes."""
        with asleep(*self.workers()):
            yield

    def words(self) -> str:
        """All that it wrote to stderr."""
        return self.log.read_text(errors="replace")

    def wait_for_line(self, text: str, times: int = 1, seconds: float = PATIENCE) -> None:
        def there() -> bool:
            found = self.words().count(text) >= times
            assert found or self.process.poll() is None, f"the sidecar has ended:\n{self.words()}"
            return found

        until(there, f"{text!r} {times} times on stderr:\n{self.words()}", seconds)

    def reload(self, config: dict[str, Any]) -> None:
        done = self.words().count("reloaded: version")
        self.write(config)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_line("reloaded: version", done + 1)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """At once; what it wrote must not tell of anything that went wrong."""
        if self.process.poll() is None:
            self.terminate()
            self.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the sidecar does not leave:\n{self.words()}") from None
        os.close(self.stats.descriptor)

    def kill(self) -> None:
        """With all its processes, which are of one session."""
        for number in process_ids_of_session(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait()

    # -- its figures -----------------------------------------------------------------------------------------

    def total(self, name: str) -> int:
        """A figure of the lanes' headers, added up."""
        return figures.totals(self.stats)[name]

    def limits(self) -> dict[str, int]:
        """What is held of the limits of all clusters together."""
        held = [sum(column) for column in zip(*figures.limits(self.stats).values(), strict=True)]
        return dict(zip(figures.LIMITS, held or [0] * len(figures.LIMITS), strict=True))

    def cluster(self, name: str) -> int:
        """A figure of all clusters together."""
        return sum(
            words[figures.CLUSTER_FIELDS.index(name)] for words in figures.clusters(self.stats).values()
        )

    def endpoint(self, name: str) -> int:
        """A figure of all endpoints together."""
        index = figures.ENDPOINT_FIELDS.index(name)
        return sum(words[index] for words in figures.endpoints(self.stats).values())

    def wait_for(self, name: str, count: int) -> None:
        """Until a figure of all endpoints together is this."""
        until(lambda: self.endpoint(name) == count, f"{name} is {count}")

    def flags(self) -> dict[str, int]:
        """How often each response flag was given."""
        counts: dict[str, int] = {}
        for words in figures.series(self.stats, (1,)).values():
            for flag, count in zip(figures.FLAGS, words[6:], strict=False):
                if count:
                    counts[flag] = counts.get(flag, 0) + count
        return counts

    def held(self) -> dict[str, int]:
        """Whatever is occupied now: all is 0 when no connection is open."""
        gauges = figures.totals(self.stats)
        now = {name: gauges[name] for name in GAUGES}
        now |= {f"limit {name}": count for name, count in self.limits().items()}
        now["cluster requests"] = self.cluster("requests_active")
        for name in ("requests_active", "connections_active", "connections_idle"):
            now[f"endpoint {name}"] = self.endpoint(name)
        return {name: count for name, count in now.items() if count}

    def wait_quiet(self) -> None:
        """Until nothing is occupied any more. Every peer must have closed its connections."""
        end = time.monotonic() + PATIENCE
        while held := self.held():
            assert time.monotonic() < end, f"occupied for ever: {held}\n{self.words()}"
            time.sleep(0.0005)


@contextmanager
def asleep(*pids: int) -> Iterator[None]:
    """None of these processes runs meanwhile; the test may kill one of them."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: all(process_state(pid) == "T" for pid in pids), "all are stopped")
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def process_state(pid: int) -> str:
    """The letter of /proc: R runs, S sleeps, T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def proportional_memory(pid: int) -> int:
    """PSS of a process in bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def process_ids_of_session(session: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.getsid(int(folder.name)) == session:
                    found.append(int(folder.name))
            except ProcessLookupError:
                continue
    return found


def listening_ports(pid: int) -> dict[str, int]:
    """By IP address: the port that a process listens on there."""
    inodes = set()
    for target in open_files(pid).values():
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            inodes.add(match[1])
    ports = {}
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                host, port = words[1].split(":")
                ports[socket.inet_ntop(family, in_memory_order(host))] = int(port, 16)
    return ports


def in_memory_order(digits: str) -> bytes:
    """An address of /proc, which is written as numbers of 32 bits."""
    return b"".join(
        int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)
    )


def shared_memory(pid: int) -> int:
    """A descriptor of the memory that the sidecar's processes share."""
    for descriptor, target in open_files(pid).items():
        if target.startswith("/memfd:tulle-shared"):
            return os.open(descriptor, os.O_RDWR | os.O_CLOEXEC)
    raise AssertionError("the sidecar has no shared memory")
