"""Sidecars follow the mesh: snapshot, deltas, refusals, and what happens when one side goes away."""

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.controlplane.plane.running import Sidecar, Stage, play, spiffe, until
from tulle.controlplane.client.disk_state import PART, read_saved
from tulle.controlplane.plane import wire
from tulle.controlplane.plane.session import Session


def test_a_snapshot_then_only_what_is_different(tmp_path: Path, monkeypatch: Any) -> None:
    sent: list[wire.Update] = []
    made = Session._update

    def note(self: Session, *arguments: Any) -> wire.Update:
        sent.append(made(self, *arguments))
        return sent[-1]

    monkeypatch.setattr(Session, "_update", note)

    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        found.plane.cart_at("10.0.0.9:15006")
        await until(lambda: b"10.0.0.9" in web.endpoints("cart"), "the new endpoint")
        await found.synced(web, "web")

    play(tmp_path, scene)
    snapshot, delta = sent
    assert snapshot.base == ""
    assert len(snapshot.changed) == 6  # settings, serve, routes, service, endpoints, trust
    assert delta.base == snapshot.version
    assert [(one.kind, one.name) for one in delta.changed] == [("endpoints", "cart")]
    assert delta.removed == []


def test_each_gets_its_own_part_and_what_goes_is_removed(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web, cart = await found.joined("web"), await found.joined("cart")
        assert web.endpoints("cart")
        assert not cart.endpoints("web")
        (found.folder / "mesh.d" / "cart.yaml").unlink()  # web still calls it: refused as a whole
        await until(lambda: found.plane.program.plane.refused, "the refusal")
        assert "there is no service 'cart'" in found.plane.program.plane.refused[0]
        assert web.endpoints("cart")
        found.plane.cart_at("10.0.0.2:15006")
        await until(lambda: not found.plane.program.plane.refused, "the mesh is right again")
        assert len(web.installed) == 1

    play(tmp_path, scene)


def test_a_poisoned_update_is_refused_and_named_and_the_next_good_one_is_taken(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web, other = await found.joined("web"), await found.joined("web")
        web.refuses = ["clusters.cart: is of the mesh too"]
        before = web.part
        found.plane.cart_at("10.0.0.66:15006")
        await found.synced(other, "web")
        await until(lambda: web.standing.refusals, "the refusal")
        plane = found.plane.program.plane
        await until(
            lambda: sorted(one.state() for one in plane.sessions.values()) == ["refused", "synced"],
            "one has refused it and the other has it",
        )
        [late] = plane.lagging()
        assert late.reasons == web.refuses
        assert web.part is before
        assert read_saved(web.folder / "state" / PART).version == before.version
        web.refuses = []
        found.plane.cart_at("10.0.0.67:15006")
        await found.synced(web, "web")

    play(tmp_path, scene)


def test_a_hundred_changes_in_a_second_are_merged(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        before = found.plane.program.plane.serial
        for number in range(100):
            found.plane.cart_at(f"10.0.1.{number}:15006")
            await asyncio.sleep(0)
        await until(lambda: b"10.0.1.99" in web.endpoints("cart"), "the last of them")
        await found.synced(web, "web")
        assert found.plane.program.plane.serial - before < 50
        assert len(web.installed) - 1 == found.plane.program.plane.serial - before

    play(tmp_path, scene)


def test_changes_that_come_while_one_is_installed_are_one(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        web.holds = asyncio.Event()
        plane = found.plane.program.plane
        for number in (1, 2, 3):
            serial = plane.serial
            found.plane.cart_at(f"10.0.2.{number}:15006")
            await until(lambda before=serial: plane.serial > before, "the next mesh")
        web.holds.set()
        await found.synced(web, "web")
        assert b"10.0.2.3" in web.endpoints("cart")
        assert len(web.installed) == 3  # the first, the one under way, and the last

    play(tmp_path, scene)


def test_a_control_plane_that_is_restarted_sends_nothing_that_is_there(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        await found.plane.end()
        await until(lambda: not web.standing.connected, "the loss")
        assert "serves on" in web.lines[-1]
        await found.plane.begin()
        await until(lambda: web.standing.connected, "the return")
        await until(lambda: found.plane.states() == {spiffe("web"): "synced"}, "in sync")
        assert len(web.installed) == 1
        found.plane.cart_at("10.0.0.7:15006")
        await until(lambda: b"10.0.0.7" in web.endpoints("cart"), "a change after that")

    play(tmp_path, scene)


def test_a_change_while_the_control_plane_was_away_comes_as_a_delta(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        await found.plane.end()
        found.plane.cart_at("10.0.0.8:15006")
        await found.plane.begin()
        await until(lambda: b"10.0.0.8" in web.endpoints("cart"), "the change")
        assert len(web.installed) == 2

    play(tmp_path, scene)


def test_a_sidecar_that_is_restarted_goes_on_where_it_was(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web", folder="same")
        await web.end()
        await until(lambda: found.plane.states() == {spiffe("web"): "stale"}, "stale")
        again = found.sidecar("web", token=None, folder="same")
        await until(lambda: found.plane.states() == {spiffe("web"): "synced"}, "in sync")
        assert again.installed == []  # what it has on disk is right
        assert len(found.plane.program.plane.sessions) == 1

    play(tmp_path, scene)


def test_one_that_dies_during_an_update_has_the_former_part_and_gets_the_new_one(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web", folder="same")
        first = web.part
        web.holds = asyncio.Event()
        candidate = web.folder / "state" / "part.new"
        found.plane.cart_at("10.0.0.5:15006")
        await until(candidate.exists, "an update under way")
        await web.end()
        assert read_saved(web.folder / "state" / PART) == first
        again = await found.joined("web", token=None, folder="same")
        assert b"10.0.0.5" in again.endpoints("cart")

    play(tmp_path, scene)


def test_the_next_control_plane_is_taken_when_one_does_not_answer(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        await found.joined("web", addresses=["127.0.0.1:1", found.plane.address])

    play(tmp_path, scene)


def test_a_change_of_roots_reaches_all(tmp_path: Path) -> None:
    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        found.plane.store.change_root("add", time.time())
        found.plane.program.plane.trusts(found.plane.program.credentials.bundle())
        await found.synced(web, "web")
        bundle = (web.folder / "state" / "bundle.pem").read_bytes()
        assert bundle.count(b"BEGIN CERTIFICATE") == 2

    play(tmp_path, scene)


def test_nothing_is_left_of_a_session_whose_place_another_has_taken(tmp_path: Path) -> None:
    """A sidecar whose connection has died unseen comes back before the control plane knows."""

    async def scene(found: Stage) -> None:
        web = await found.joined("web")
        plane = found.plane.program.plane
        (former,) = plane.sessions.values()
        server = found.plane.program.server
        assert server is not None
        (task,) = server.tasks
        again = Sidecar(web.folder, [found.plane.address], None)
        found.sidecars.append(again)
        await until(lambda: not former.connected, "another session in its place")
        await until(task.done, "the end of what served the former")

    play(tmp_path, scene)
