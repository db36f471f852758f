"""The control plane's admin pages, asked as a scraper asks them."""

import asyncio
import json
import re
import socket
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import ANY

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.controlplane.plane.running import CART, Stage, enrol, stage, until
from tests.controlplane.plane.running import Plane as Whole
from tulle.controlplane.plane import admin
from tulle.controlplane.plane.figures import BOUNDS, Figures
from tulle.controlplane.plane.operators import Operators
from tulle.controlplane.plane.program import ControlError
from tulle.controlplane.plane.state import Plane

ROOT = Path(__file__).parents[3]


class Answer(NamedTuple):
    status: int
    head: str
    body: str


async def ask(address: str, request: str) -> Answer:
    """One request on a connection of its own."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    finally:
        writer.close()
    return Answer(int(head.split()[1]), head.lower(), body)


def admin_of(found: Stage) -> str:
    (line,) = [line for line in found.plane.said if "admin at" in line]
    return line.rpartition("admin at ")[2]


async def metrics(found: Stage) -> dict[tuple[str, ...], float]:
    """All samples by their name and label values, in the order of the labels' names."""
    answer = await ask(admin_of(found), "GET /metrics")
    assert answer.status == 200
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(answer.body)
        for sample in family.samples
    }


def play(folder: Path, scene: Callable[[Stage], Coroutine[Any, Any, None]], more: str = "") -> None:
    """A test on a stage of its own, with admin pages."""

    async def run() -> None:
        (folder / "mesh.d").mkdir()
        (folder / "mesh.d" / "cart.yaml").write_text(CART % "10.0.0.2:15006")
        async with stage(folder, "24h", f", admin: '127.0.0.1:0'{more}") as found:
            await scene(found)

    asyncio.run(run())


def test_ready_and_status_tell_what_is_in_force_and_what_is_wrong(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        address = admin_of(found)
        assert await ask(address, "GET /ready") == Answer(200, ANY, "LIVE\n")
        found.plane.cart_at("nowhere")
        await until(lambda: found.plane.program.plane.refused, "a refusal")
        answer = await ask(address, "GET /ready")
        assert answer.status == 200
        assert "services.cart.endpoints[0].address" in answer.body
        assert (await metrics(found))["tulle_plane_mesh_refused",] == 1
        status = json.loads((await ask(address, "GET /status")).body)
        assert status["services"] == 2
        assert status["refused"] == found.plane.program.plane.refused
        found.plane.cart_at("10.0.0.3:15006")
        await until(lambda: not found.plane.program.plane.refused, "a mesh that is right")
        assert (await ask(address, "GET /ready")).body == "LIVE\n"

    play(tmp_path, scene)


def test_before_there_is_a_mesh_it_is_not_ready() -> None:
    plane = Plane()
    store: Any = SimpleNamespace(trouble="etcd cannot be followed")
    reply = admin.Admin(plane, store, Operators(plane, store), lambda: (b"", "")).reply("GET", "/ready")
    assert (reply.status, reply.body) == (503, b"no mesh yet: etcd cannot be followed\n")


def test_metrics_of_sidecars_and_their_updates(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        cart = await found.joined("cart")
        await until(lambda: set(found.plane.states().values()) == {"synced"}, "both in sync")
        told = await metrics(found)
        assert told["tulle_plane_sidecars", "synced"] == 2
        assert told["tulle_plane_sidecar_versions",] == 2
        assert told["tulle_plane_connections", "known"] >= 2
        assert told["tulle_plane_certificates_issued_total", "enrol"] == 2
        assert told["tulle_plane_updates_total", "success"] == 2
        assert told["tulle_plane_services",] == 2
        assert told["tulle_plane_active_seconds_count",] == 0  # a first part is no change

        web.refuses = ["there is no room"]
        found.plane.cart_at("10.0.0.2:15006", "10.0.0.4:15006")
        await until(lambda: "refused" in found.plane.states().values(), "a refusal")
        told = await metrics(found)
        assert told["tulle_plane_sidecars", "refused"] == 1
        assert told["tulle_plane_updates_total", "refused"] == 1
        assert told["tulle_plane_endpoints",] == 3

        web.refuses = []
        found.plane.cart_at("10.0.0.5:15006")
        await until(lambda: set(found.plane.states().values()) == {"synced"}, "both in sync again")
        told = await metrics(found)
        assert told["tulle_plane_active_seconds_count",] == 1
        assert told["tulle_plane_active_seconds_bucket", "+Inf"] == 1
        assert 0 < told["tulle_plane_active_seconds_sum",] < 60
        assert told["tulle_plane_loads_total", "success"] >= 3

        await cart.end()
        await until(lambda: "stale" in found.plane.states().values(), "a sidecar that has gone")
        assert (await metrics(found))["tulle_plane_sidecars", "stale"] == 1

    play(tmp_path, scene)


def test_metrics_of_certificates_asked_for_in_vain(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        token = found.plane.token("web")
        assert (await enrol(found, token))[0] == 200
        assert (await enrol(found, token))[0] == 401
        assert (await enrol(found, token[:-6] + "AAAAAA"))[0] == 401
        told = await metrics(found)
        assert told["tulle_plane_certificates_issued_total", "enrol"] == 1
        assert told["tulle_plane_certificates_refused_total", "enrol", "token-used"] == 1
        assert told["tulle_plane_certificates_refused_total", "enrol", "token-forged"] == 1
        expiry = {labels[1]: at for labels, at in told.items() if "expiration" in labels[0]}
        assert {"own", "root-1", "intermediate-1"} == expiry.keys()
        assert expiry["own"] < expiry["intermediate-1"] < expiry["root-1"]

    play(tmp_path, scene)


def test_no_more_sidecars_than_there_may_be_is_counted(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        await found.joined("web")
        other = found.sidecar("cart")
        await until(lambda: "max_sidecars" in other.standing.error, "what the second is told")
        assert (await metrics(found))["tulle_plane_turned_away_total", "max_sidecars"] >= 1

    play(tmp_path, scene, ", max_sidecars: 1")


@pytest.mark.parametrize(
    ("request_line", "status", "says"),
    [
        ("GET /", 200, "/metrics"),
        ("GET /stats", 404, "there is no page '/stats'"),
        ("POST /ready", 405, "takes GET"),
        ("HEAD /ready", 200, ""),
        ("GET /ready?x=1", 200, "LIVE"),
    ],
)
def test_pages_by_method_and_path(tmp_path: Path, request_line: str, status: int, says: str) -> None:
    async def scene(found: Stage) -> None:
        answer = await ask(admin_of(found), request_line)
        assert answer.status == status
        assert says in answer.body
        assert ("allow: get" in answer.head) == (status == 405)

    play(tmp_path, scene)


def test_what_is_not_http_is_refused_and_the_next_is_served(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        assert (await ask(admin_of(found), "GET  /ready x y")).status == 400
        assert (await ask(admin_of(found), "GET /ready")).status == 200

    play(tmp_path, scene)


def test_an_address_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as folder:

        async def scene() -> None:
            place = f"127.0.0.1:{taken.getsockname()[1]}"
            await Whole(Path(folder), more=f", admin: '{place}'").begin()

        with pytest.raises(ControlError, match=r"cannot listen on .*; see control.admin"):
            asyncio.run(scene())


def test_times_fall_into_their_buckets() -> None:
    own = Figures()
    for seconds in (0.05, BOUNDS[0], BOUNDS[-1] + 1):
        own.took(seconds)
    assert (own.active[0], own.active[-1], sum(own.active)) == (2, 1, 3)


def test_the_page_tells_every_metric() -> None:
    page = (ROOT / "docs" / "control-plane.md").read_text()
    source = (ROOT / "controlplane" / "plane" / "metrics.py").read_text()
    written = {name.removesuffix("_total") for name in re.findall(r"`(tulle_plane_\w+)`", page)}
    assert written == set(re.findall(r'"(tulle_plane_\w+)"', source))
    assert set(re.findall(r"^\| `(/\w+)` \|", page, re.MULTILINE)) == {
        line.split()[0] for line in admin.PAGES.splitlines()
    }
