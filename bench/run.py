"""Runs scenarios: starts the backend and the peers, and takes rounds in turn over them (A B C, A B C, ...).

Turns make the figures comparable on a machine that others use too: what disturbs one round disturbs its
neighbours. A peer that cannot start or dies is skipped with the reason; the others go on.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.cpus import Placement
from bench.hosts import command as hosts_command
from bench.peers import Peer
from bench.process import Failed, Running, python_module
from bench.scenarios import Entry, Sample, Scenario, Stage
from bench.sockets import free_port, free_ports

WARM_UP_SECONDS = 1


@dataclass
class Outcome:
    """What came of a scenario: the samples of each entry in the order of the rounds, or why it has none."""

    scenario: Scenario
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Runner:
    """How to run scenarios: where, how often, how long a round lasts, and in which folder."""

    placement: Placement
    rounds: int
    seconds: int
    folder: Path

    def run(self, scenario: Scenario, peers: Sequence[Peer]) -> Outcome:
        """All rounds of all peers that can take part."""
        outcome = Outcome(scenario)
        taking_part = [entry for peer in peers for entry in scenario.entries(peer)]
        with self._backend(scenario) as endpoints, ExitStack() as running:
            stages = {}
            for entry in taking_part if not scenario.fresh else ():
                with self._skipping(outcome, entry):
                    stages[entry.name] = running.enter_context(self._stage(scenario, entry, endpoints))
                    scenario.measure(replace(stages[entry.name], seconds=WARM_UP_SECONDS))
            for turn in range(1, self.rounds + 1):
                for entry in taking_part:
                    if entry.name in outcome.skipped:
                        continue
                    progress(f"{scenario.name}: round {turn} of {self.rounds}, {entry.name}")
                    with self._skipping(outcome, entry), ExitStack() as own:
                        stage = stages.get(entry.name) or own.enter_context(
                            self._stage(scenario, entry, endpoints)
                        )
                        sample = scenario.measure(stage)
                        stage.running.check()
                        outcome.samples.setdefault(entry.name, []).append(sample)
        return outcome

    @contextmanager
    def _backend(self, scenario: Scenario) -> Iterator[tuple[int, ...]]:
        """The ports of what the proxies send requests to."""
        ports = free_ports(max(1, len(scenario.hosts)))
        if scenario.hosts:
            command, ready = hosts_command(scenario.hosts, ports), "/counts"
        else:
            command = python_module("bench.backend", "--port", ports[0], "--close-rate", scenario.close_rate)
            ready = "/"
        backend = Running("backend", command, port=ports[0], folder=self.folder, cpus=self.placement.load)
        try:
            backend.wait_ready(ready)
            yield ports
        finally:
            backend.stop()

    @contextmanager
    def _stage(self, scenario: Scenario, entry: Entry, endpoints: tuple[int, ...]) -> Iterator[Stage]:
        """The peer, started for the scenario in a folder of its own, and stopped at the end."""
        peer = entry.peer
        folder = self.folder / entry.name.replace(" ", "-")
        folder.mkdir()
        cpus = self.placement.both if scenario.both_cpus else self.placement.proxy
        demand = scenario.demand(free_port(), endpoints, entry.policy)
        progress(f"{scenario.name}: starting {entry.name}")
        try:
            if scenario.variants and (reason := peer.refuses(demand, folder)):
                raise Failed(reason)
            running = peer.start(demand, folder, self.placement.load if peer.beside_load else cpus)
            try:
                yield Stage(peer, running, demand, self.placement, self.seconds)
            finally:
                running.stop()
        finally:
            shutil.rmtree(folder)

    @staticmethod
    @contextmanager
    def _skipping(outcome: Outcome, entry: Entry) -> Iterator[None]:
        """A failure inside skips the entry for the rest of the scenario."""
        try:
            yield
        except (Failed, RuntimeError, OSError) as error:
            outcome.skipped[entry.name] = str(error)
            outcome.samples.pop(entry.name, None)
            print(f"bench: {outcome.scenario.name}: skipped {entry.name}: {error}", file=sys.stderr)


def progress(line: str) -> None:
    """One line for whoever waits."""
    print(line, file=sys.stderr, flush=True)
