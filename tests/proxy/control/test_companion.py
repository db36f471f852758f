"""The master's side of what follows the control plane: one update at a time, whoever asks for it."""

import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.proxy.running import PATIENCE
from tulle.proxy import loop, spawner
from tulle.proxy.children import Children
from tulle.proxy.companion import FIRST_PAUSE
from tulle.proxy.configuration import Configuration
from tulle.proxy.control.companion import ControlFollower, keep
from tulle.proxy.failure import Failure
from tulle.proxy.loop import Future
from tulle.proxy.waiting import Timeout, sleep


class Begun:
    """What followers are begun, each by its end of the socket."""

    def __init__(self) -> None:
        self.ends: list[socket.socket] = []

    def begin_task(self, orders: object, task: bytes, descriptors: list[int], kind: int) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ends.append(theirs)
        return ours

    async def until(self, count: int) -> None:
        async with Timeout(PATIENCE):
            while len(self.ends) < count:
                await sleep(0.01)


def configured() -> Configuration:
    """As much of a configuration as a follower is begun for."""
    plane = {"addresses": ["127.0.0.1:1"], "state_dir": "state", "token_file": None}
    settings: Any = SimpleNamespace(control_plane=plane, mesh_version="")
    made: Any = SimpleNamespace(settings=settings)
    found: Configuration = made
    return found


def children() -> Children:
    handle: Any = SimpleNamespace(orders=None)
    return Children(handle)


def test_another_begins_only_when_what_the_former_wanted_installed_is_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both write the same file: what the next one puts there is not what is being installed."""
    begun = Begun()
    monkeypatch.setattr(spawner, "begin_task", begun.begin_task)

    async def scene() -> None:
        settled: Future[tuple[str, ...]] = Future()
        asked: list[str] = []

        async def install(path: str) -> tuple[str, ...]:
            asked.append(path)
            return await settled

        follower = ControlFollower(children(), install)
        follower.follow(configured())
        begun.ends[0].send(json.dumps({"install": "state/part.new"}).encode())
        async with Timeout(PATIENCE):
            while not asked:
                await sleep(0.01)
        begun.ends[0].close()
        await sleep(5 * FIRST_PAUSE)
        assert len(begun.ends) == 1
        settled.set_result(())
        await begun.until(2)
        follower.end()
        for end in begun.ends[1:]:
            end.close()

    loop.run(scene())


def test_a_part_that_cannot_be_kept_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"part: cannot be kept: No such file or directory"):
        keep(str(tmp_path / "part.new"), str(tmp_path / "part"))
