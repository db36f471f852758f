"""What has been is not kept: reload after reload with an event stream held open, and a rush of requests."""

import http.client
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, Proxy, config, until

WARM_UP = 5
RELOADS = 15
SLACK = RELOADS // 2
"""Less than one thing a reload: a heap may grow by a piece, a table by a digit."""
RUSH = 200
MIB = 1 << 20


def configuration(backend: Backend, version: int) -> dict[str, Any]:
    """A route of its own and a cluster of its own beside the one that serves: names come and go."""
    made = config([backend.address])
    made["clusters"][f"passing-{version}"] = {"endpoints": [{"address": f"127.0.0.1:{1000 + version % 5}"}]}
    passing = {
        "name": f"passing-{version}",
        "matches": [{"path": {"exact": f"/passing/{version}"}}],
        "backends": [{"cluster": f"passing-{version}"}],
    }
    made["routes"]["main"].insert(0, passing)
    return made


def held(pid: int) -> Counter[str]:
    """What a process has open and mapped, in pieces, by kind; and how many pages its shared files have."""
    found: Counter[str] = Counter()
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        found["mapping " + (fields[5].split(" ")[0] if len(fields) > 5 else "without a name")] += 1
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target, size = str(descriptor.readlink()), descriptor.stat().st_size
        except OSError:
            continue  # it was closed meanwhile
        found["descriptor " + target.split(":")[0]] += 1
        if "memfd" in target:
            found["pages " + target.split(" ")[0]] += size // 4096
    return found


def processes(proxy: Proxy) -> dict[str, Counter[str]]:
    """What each process holds that is there to stay, by what it is called."""
    found = {}
    for pid in proxy.session():
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            if name != "tulle-task":
                found[name] = held(pid)
        except OSError:
            continue
    return found


def grown(before: dict[str, Counter[str]], after: dict[str, Counter[str]]) -> dict[str, int]:
    """What there is more of by one a reload, or so."""
    return {
        f"{name}: {what}": count - before[name][what]
        for name, counted in after.items()
        for what, count in counted.items()
        if count - before[name][what] > SLACK
    }


def test_reloads_leave_nothing_behind(start: Start, backend: Backend) -> None:
    proxy = start(configuration(backend, 0)).ready()
    host, port = proxy.place("web")
    stream = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    stream.request("GET", "/events")
    response = stream.getresponse()
    try:
        for version in range(1, WARM_UP + RELOADS + 1):
            proxy.reload(configuration(backend, version))
            assert proxy.get() == (200, b"backend")
            assert proxy.get(f"/passing/{version}")[0] == 503
            if version == WARM_UP:
                before = processes(proxy)
        backend.emit(b"data: still here\n\n")
        assert b"still here" in response.read1()
        assert set(before) == set(processes(proxy))
        until(lambda: not grown(before, processes(proxy)), f"it grows: {grown(before, processes(proxy))}")
    finally:
        stream.close()


def data_size(pid: int) -> int:
    """Bytes of memory of its own that a process has mapped."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmData" in line)
    return int(line.split()[1]) * 1024


def test_memory_of_a_rush_goes_back_to_the_system(start: Start, backend: Backend) -> None:
    proxy = start(config([backend.address])).ready()
    assert proxy.get() == (200, b"backend")
    (worker,) = proxy.workers()
    before = data_size(worker)
    host, port = proxy.place("web")
    with ExitStack() as connections:
        for _ in range(RUSH):
            client = http.client.HTTPConnection(host, port, timeout=PATIENCE)
            connections.callback(client.close)
            client.request("GET", "/held")
        until(lambda: data_size(worker) > before + 2 * MIB, "so many requests take memory")
    backend.go.set()
    until(lambda: data_size(worker) < before + MIB // 2, "the memory has gone back")
    assert proxy.get() == (200, b"backend")
