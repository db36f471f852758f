"""Figures of names that a reload has removed: shown for a while, then forgotten; their room is used again."""

import http.client
import os
import signal
from typing import Any

from tests.proxy.conftest import Start
from tests.proxy.running import PATIENCE, Backend, Proxy, config, until
from tests.proxy.test_admin import metrics
from tests.proxy.test_upgrade import upgrade

RELOADS = 4
RENAMED = 8


def configuration(backend: Backend, reload: int, removed_after: str = "0s") -> dict[str, Any]:
    """Routes with names of this reload, before the one that stays."""
    made = config([backend.address], stats={"removed_after": removed_after})
    made["routes"]["main"][:0] = [
        {
            "name": f"renamed-{reload}-{number}",
            "matches": [{"path": {"exact": f"/{number}"}}],
            "backends": [{"cluster": "v1"}],
        }
        for number in range(RENAMED)
    ]
    return made


def requests(proxy: Proxy) -> dict[str, float]:
    """Requests that were answered, by route."""
    return {
        dict(labels)["route"]: value
        for (name, labels), value in metrics(proxy).items()
        if name == "tulle_requests_total" and dict(labels)["code"] == "2xx"
    }


def until_shown(proxy: Proxy, wanted: dict[str, float]) -> None:
    """Requests are counted after their answers were sent."""
    until(lambda: requests(proxy) == wanted, f"all are counted: {wanted}")


def figure(proxy: Proxy, name: str) -> float:
    return metrics(proxy)[name, ()]


def ask_all(proxy: Proxy) -> None:
    for number in range(RENAMED):
        assert proxy.get(f"/{number}") == (200, b"backend")
    assert proxy.get("/other") == (200, b"backend")


def names_of(reload: int) -> set[str]:
    return {f"renamed-{reload}-{number}" for number in range(RENAMED)}


def test_renamed_routes_make_room(start: Start, backend: Backend) -> None:
    proxy = start(configuration(backend, 0)).ready()
    for reload in range(1, RELOADS + 1):
        ask_all(proxy)
        wanted = dict.fromkeys(names_of(reload - 1), 1.0) | {"all": float(reload)}
        until_shown(proxy, wanted)
        proxy.reload(configuration(backend, reload))
        if reload % 2 == 0:
            until(lambda: figure(proxy, "tulle_series_active") == 1, "what has gone is freed")
    until(lambda: figure(proxy, "tulle_series_freed_total") == RELOADS * RENAMED, "all are freed")
    assert requests(proxy) == {"all": float(RELOADS)}
    assert figure(proxy, "tulle_series_overflow_total") == 0


def test_a_request_in_flight_keeps_what_it_counts_in(start: Start, backend: Backend) -> None:
    made = configuration(backend, 0)
    made["routes"]["main"][0]["matches"] = [{"path": {"exact": "/held"}}]
    proxy = start(made).ready()
    ask_all(proxy)
    until(lambda: len(requests(proxy)) == RENAMED, "all are counted")
    client = http.client.HTTPConnection(*proxy.place("web"), timeout=PATIENCE)
    client.request("GET", "/held")
    until(lambda: backend.held == 1, "it is under way")
    proxy.reload(configuration(backend, 1))
    proxy.reload(configuration(backend, 2))
    until(lambda: set(requests(proxy)) == {"all"}, "names that have gone are not shown")
    assert figure(proxy, "tulle_series_freed_total") == 0
    backend.go.set()
    assert client.getresponse().status == 200
    client.close()
    until(lambda: figure(proxy, "tulle_series_active") == 1, "what has gone is freed")


def test_a_name_that_comes_back_goes_on(start: Start, backend: Backend) -> None:
    proxy = start(configuration(backend, 0, "1h")).ready()
    ask_all(proxy)
    wanted = dict.fromkeys(names_of(0), 1.0) | {"all": 1.0}
    until_shown(proxy, wanted)
    proxy.reload(configuration(backend, 1, "1h"))
    assert requests(proxy) == wanted, "they are still shown"
    proxy.reload(configuration(backend, 0, "1h"))
    ask_all(proxy)
    until_shown(proxy, dict.fromkeys(names_of(0), 2.0) | {"all": 2.0})


def test_deaths_and_upgrades_leave_nothing_behind(start: Start, backend: Backend) -> None:
    """The lane of a worker that has gone is swept when another has it."""
    proxy = start(configuration(backend, 0)).ready()
    ask_all(proxy)
    until(lambda: len(requests(proxy)) == RENAMED + 1, "all are counted")
    (worker,) = proxy.workers()
    os.kill(worker, signal.SIGKILL)
    proxy.wait_for("another begins")
    until(lambda: proxy.workers() not in ([], [worker]), "there is another worker")
    proxy.reload(configuration(backend, 1))
    until(lambda: figure(proxy, "tulle_series_active") == 1, "what has gone is freed")
    ask_all(proxy)
    until(lambda: len(requests(proxy)) == RENAMED + 1, "all are counted")
    upgrade(proxy)
    assert requests(proxy) == dict.fromkeys(names_of(1), 1.0) | {"all": 2.0}
    proxy.reload(configuration(backend, 2))
    ask_all(proxy)
    until_shown(proxy, dict.fromkeys(names_of(2), 1.0) | {"all": 3.0})
    assert figure(proxy, "tulle_series_overflow_total") == 0
