"""Names of endpoints: asked for again, and the last answer serves on."""

import socket

import pytest

from tests.proxy.conftest import Start
from tests.proxy.running import Backend, config
from tulle.proxy import loop, resolver
from tulle.proxy.configuration import EndpointName
from tulle.proxy.loop import Future
from tulle.proxy.resolver import Resolver, look_up
from tulle.proxy.waiting import Timeout

ORDERS = EndpointName("shop", 0, "orders.test", 80)
ITEMS = EndpointName("shop", 1, "items.test", 81)


class Directory:
    """In place of the system's resolver: what it says of each host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hosts: dict[str, list[str] | OSError] = {}
        self.asked: list[str] = []
        monkeypatch.setattr(resolver, "look_up", self.look_up)

    async def look_up(self, host: str) -> list[str]:
        self.asked.append(host)
        found = self.hosts.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(found, OSError):
            raise found
        return found


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Directory:
    return Directory(monkeypatch)


def test_the_system_is_asked() -> None:
    assert "127.0.0.1" in loop.run(look_up("localhost"))
    with pytest.raises(OSError, match="not known"):
        loop.run(look_up("no.such.host.invalid"))


def test_names_are_learnt_once_and_refreshed(directory: Directory) -> None:
    async def scenario() -> None:
        names = Resolver()
        directory.hosts["orders.test"] = ["10.0.0.1", "10.0.0.2"]
        await names.learn([ORDERS])
        await names.learn([ORDERS])
        assert directory.asked == ["orders.test"]
        assert names.answers == {"orders.test:80": ["10.0.0.1", "10.0.0.2"]}
        directory.hosts["orders.test"] = ["10.0.0.3"]
        await names.refresh([ORDERS])
        assert names.answers == {"orders.test:80": ["10.0.0.3"]}

    loop.run(scenario())


def test_one_host_with_two_ports_is_asked_once(directory: Directory) -> None:
    async def scenario() -> None:
        names = Resolver()
        directory.hosts["orders.test"] = ["10.0.0.1"]
        await names.learn([ORDERS, EndpointName("shop", 1, "orders.test", 81)])
        assert directory.asked == ["orders.test"]
        assert set(names.answers) == {"orders.test:80", "orders.test:81"}

    loop.run(scenario())


def test_the_last_answer_serves_on_and_a_change_is_said_once(
    directory: Directory, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        names = Resolver()
        directory.hosts["orders.test"] = ["10.0.0.1"]
        await names.learn([ORDERS, ITEMS])
        directory.hosts["orders.test"] = socket.gaierror(socket.EAI_AGAIN, "Temporary failure")
        for _ in range(3):
            await names.refresh([ORDERS, ITEMS])
        assert names.answers == {"orders.test:80": ["10.0.0.1"]}
        directory.hosts["orders.test"] = ["10.0.0.9"]
        await names.refresh([ORDERS, ITEMS])
        assert names.answers == {"orders.test:80": ["10.0.0.9"]}

    loop.run(scenario())
    unknown, failing, again = capsys.readouterr().err.splitlines()
    assert "items.test" in unknown
    assert "it has no endpoint there until it resolves" in unknown
    assert "orders.test (cluster shop): Temporary failure; its last addresses serve on" in failing
    assert "orders.test (cluster shop) is resolved again: 10.0.0.9" in again


def test_what_is_not_asked_for_any_more_is_forgotten(directory: Directory) -> None:
    async def scenario() -> None:
        names = Resolver()
        directory.hosts |= {"orders.test": ["10.0.0.1"], "items.test": ["10.0.0.2"]}
        await names.learn([ORDERS, ITEMS])
        await names.refresh([ITEMS])
        assert names.answers == {"items.test:81": ["10.0.0.2"]}

    loop.run(scenario())


def test_a_configuration_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(host: str) -> list[str]:
        await Future()
        return []

    async def scenario() -> None:
        names = Resolver()
        async with Timeout(10):
            await names.learn([ORDERS])
        assert names.answers == {}

    monkeypatch.setattr(resolver, "look_up", never)
    monkeypatch.setattr(resolver, "PATIENCE", 0.01)
    loop.run(scenario())


def test_a_proxy_serves_endpoints_that_have_names(start: Start, backend: Backend) -> None:
    port = backend.address.rpartition(":")[2]
    proxy = start(config([f"localhost:{port}", "no.such.host.invalid:80"])).ready()
    assert proxy.get() == (200, b"backend")
    assert "cannot resolve no.such.host.invalid (cluster v1)" in proxy.said()
    assert list(proxy.admin("/clusters")["v1"]["endpoints"]) == [f"127.0.0.1:{port}"]


def test_a_reload_resolves_new_names_before_it_is_taken(start: Start, backend: Backend) -> None:
    proxy = start(config(["127.0.0.1:1"])).ready()
    assert proxy.get()[0] == 503
    proxy.reload(config([f"localhost:{backend.address.rpartition(':')[2]}"]))
    assert proxy.get() == (200, b"backend")
