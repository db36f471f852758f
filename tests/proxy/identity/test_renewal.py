"""Other certificates are taken by all workers, or by none."""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tulle.proxy import loop
from tulle.proxy.configuration import Configuration
from tulle.proxy.descriptors import memfd
from tulle.proxy.failure import Failure
from tulle.proxy.protocol import ControlMessage
from tulle.proxy.reload import Reloader

DESCRIBED: dict[str, Any] = {
    "workers": 1,
    "drain_timeout": 0,
    "upgrade_drain_timeout": 0,
    "runtime_dir": None,
    "admin_address": None,
    "access_log": {},
    "histogram_buckets": [],
    "listeners": [],
    "endpoint_names": [],
    "certificates": [{"file": "old"}],
    "certificate_stamps": {"web.pem": "1"},
}
FAULT = ["key-mismatch", "web.key", "web.key: the key does not fit."]


class Proxy:
    """One worker that takes or refuses what it is told, and a task that finds what a test says."""

    def __init__(self, refuses: bool = False, changed: bool = True, secured: bool = True) -> None:
        self.refuses, self.changed = refuses, changed
        self.told: list[tuple[ControlMessage, list[int]]] = []
        self.worker = SimpleNamespace(installed=(1, 1), refused=(0, 0), serving=True, oldest=(1, 1))
        names = ("routes", "endpoints", "names", "table", "tls")[: 5 if secured else 4]
        own = [memfd(f"test-{name}", b"") for name in names]
        self.current = Configuration(1, 1, DESCRIBED, 1, own)
        self.made: list[int] = []
        workers: Any = SimpleNamespace(
            running=[self.worker], serving=lambda: [self.worker], tell=self.tell, until=self.until
        )
        children: Any = SimpleNamespace(run_task=self.run_task)
        listeners: Any = None
        self.reloader = Reloader(children, workers, listeners, self.current, {}, 1)

    def tell(self, message: ControlMessage, descriptors: list[int] | None = None) -> None:
        self.told.append((message, descriptors or []))
        key = (message.version, message.value)
        if self.refuses and key > (1, 1):
            self.worker.refused = key
        else:
            self.worker.installed = key

    async def until(self, condition: Callable[[], bool]) -> None:
        assert condition()

    async def run_task(
        self, task: dict[str, Any], descriptors: list[int]
    ) -> tuple[dict[str, Any], list[int]]:
        assert task["task"] == "certificates"
        assert descriptors == [self.current.names, self.current.table, self.current.tls]
        if self.changed:
            self.made = [memfd("test-tls", b"new"), memfd("test-names", b"new")]
        found = {
            "serial": 2,
            "lines": ["web.pem: renewed"],
            "faults": [FAULT],
            "certificates": [{"file": "new"}],
            "stamps": {"web.pem": "2"},
        }
        return found, self.made


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_all_take_them() -> None:
    proxy = Proxy()
    former = proxy.current.certificates()
    done = loop.run(proxy.reloader.renew_certificates())
    assert (done.lines, done.faults, done.stamps) == (["web.pem: renewed"], [FAULT], {"web.pem": "2"})
    current = proxy.reloader.current
    assert current is proxy.current  # whoever looks after it need not hear of this
    assert (current.version, current.serial) == (1, 2)
    assert current.settings.certificates == ({"file": "new"},)
    assert [current.tls, current.names] == proxy.made
    ((message, descriptors),) = proxy.told
    assert (message.version, message.value) == (1, 2)
    assert descriptors == [current.routes, current.endpoints, current.tls]
    assert not is_open(former.tls)
    assert not is_open(former.names)
    current.close()


def test_when_one_refuses_all_go_back() -> None:
    proxy = Proxy(refuses=True)
    former = proxy.current.certificates()
    with pytest.raises(Failure, match="could not take"):
        loop.run(proxy.reloader.renew_certificates())
    assert proxy.current.certificates() == former
    assert proxy.current.settings.certificates == ({"file": "old"},)
    assert [message.value for message, _ in proxy.told] == [2, 1]
    assert proxy.told[-1][1][-1] == former.tls
    assert is_open(former.tls)
    assert not any(is_open(descriptor) for descriptor in proxy.made)
    proxy.current.close()


def test_nobody_is_told_when_nothing_has_changed() -> None:
    proxy = Proxy(changed=False)
    done = loop.run(proxy.reloader.renew_certificates())
    assert (done.lines, done.faults) == ([], [FAULT])
    assert proxy.told == []
    proxy.current.close()


def test_without_tls_there_is_nothing_to_do() -> None:
    proxy = Proxy(secured=False)
    assert loop.run(proxy.reloader.renew_certificates()).stamps == {}
    assert proxy.told == []
    proxy.current.close()
