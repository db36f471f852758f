"""What the bench knows of a proxy: how to find it, configure it, start it and have it reload."""

import re
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from bench.demand import Demand, route_path
from bench.process import Running


class Peer(ABC):
    """A proxy to measure, one small file each: the answers to these questions."""

    name: ClassVar[str]
    routes: ClassVar[bool] = True
    """It looks at paths, and so can take part where there are routes."""
    access_log: ClassVar[str] = "access.log"
    """The file in its folder that has one line a request, when that is asked for."""
    beside_load: ClassVar[bool] = False
    """It runs where the load runs, for it is no proxy."""

    named_only: ClassVar[bool] = False
    """It takes part only in scenarios that name it."""

    @abstractmethod
    def missing(self) -> str | None:
        """What is not there and the command that gets it; None when it can be started."""

    @abstractmethod
    def version(self) -> str:
        """Its version, for the report."""

    @abstractmethod
    def files(self, demand: Demand, folder: Path) -> dict[str, str]:
        """Its configuration: names of files in `folder` and their texts, in the order to put them there."""

    @abstractmethod
    def command(self, demand: Demand, folder: Path) -> list[str]:
        """What starts it in the foreground, its files being in `folder`."""

    def refuses(self, demand: Demand, folder: Path) -> str | None:
        """Why it cannot do what is asked, for a peer whose words may be newer than its version."""
        return None

    def signal_reload(self, running: Running) -> None:
        """Have it take the files that have just been put there."""
        raise NotImplementedError(f"{self.name} cannot reload")

    def traffic(self, running: Running) -> list[int]:
        """Those of its processes that do nothing but carry traffic, as far as they can be told apart."""
        return []

    def start(self, demand: Demand, folder: Path, cpus: frozenset[int]) -> Running:
        """It, running on `cpus` and ready; Failed when that does not come about."""
        put_files(self.files(demand, folder), folder)
        running = Running(self.name, self.command(demand, folder), port=demand.port, folder=folder, cpus=cpus)
        try:
            if demand.takes_tls() or demand.grpc:
                running.wait_listening()
            else:
                running.wait_ready(route_path(0) if demand.routes else "/")
        except BaseException:
            running.stop()
            raise
        return running


def put_files(files: dict[str, str], folder: Path) -> None:
    """Put each file in its place by renaming, so that nobody reads half of one."""
    for name, text in files.items():
        (folder / f"{name}.next").write_text(text)
    for name in files:
        (folder / f"{name}.next").rename(folder / name)


def first_version(command: list[str]) -> str:
    """The first thing like a version number that a command prints."""
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"(?<![\w.])\d+\.\d+\.\d+[\w.+~-]*", finished.stdout + finished.stderr)
    return found.group() if found else "unknown"
