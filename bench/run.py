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
from bench.peers import Peer
from bench.process import Failed, Running, python_module
from bench.scenarios import Sample, Scenario, Stage
from bench.sockets import free_port

WARM_UP_SECONDS = 1


@dataclass
class Outcome:
    """What came of a scenario: the samples of each peer in the order of the rounds, or why it has none."""

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
        taking_part = [peer for peer in peers if scenario.takes(peer)]
        with self._backend(scenario) as backend, ExitStack() as running:
            stages = {}
            for peer in taking_part if not scenario.fresh else ():
                with self._skipping(outcome, peer):
                    stages[peer.name] = running.enter_context(self._stage(scenario, peer, backend))
                    scenario.measure(replace(stages[peer.name], seconds=WARM_UP_SECONDS))
            for turn in range(1, self.rounds + 1):
                for peer in taking_part:
                    if peer.name in outcome.skipped:
                        continue
                    progress(f"{scenario.name}: round {turn} of {self.rounds}, {peer.name}")
                    with self._skipping(outcome, peer), ExitStack() as own:
                        stage = stages.get(peer.name) or own.enter_context(
                            self._stage(scenario, peer, backend)
                        )
                        sample = scenario.measure(stage)
                        stage.running.check()
                        outcome.samples.setdefault(peer.name, []).append(sample)
        return outcome

    @contextmanager
    def _backend(self, scenario: Scenario) -> Iterator[Running]:
        port = free_port()
        command = python_module("bench.backend", "--port", port, "--close-rate", scenario.close_rate)
        backend = Running("backend", command, port=port, folder=self.folder, cpus=self.placement.load)
        try:
            backend.wait_ready("/")
            yield backend
        finally:
            backend.stop()

    @contextmanager
    def _stage(self, scenario: Scenario, peer: Peer, backend: Running) -> Iterator[Stage]:
        """The peer, started for the scenario in a folder of its own, and stopped at the end."""
        folder = self.folder / peer.name
        folder.mkdir()
        cpus = self.placement.both if scenario.both_cpus else self.placement.proxy
        demand = scenario.demand(free_port(), backend.port)
        progress(f"{scenario.name}: starting {peer.name}")
        try:
            running = peer.start(demand, folder, self.placement.load if peer.beside_load else cpus)
            try:
                yield Stage(peer, running, demand, self.placement, self.seconds)
            finally:
                running.stop()
        finally:
            shutil.rmtree(folder)

    @staticmethod
    @contextmanager
    def _skipping(outcome: Outcome, peer: Peer) -> Iterator[None]:
        """A failure inside skips the peer for the rest of the scenario."""
        try:
            yield
        except (Failed, RuntimeError, OSError) as error:
            outcome.skipped[peer.name] = str(error)
            outcome.samples.pop(peer.name, None)
            print(f"bench: {outcome.scenario.name}: skipped {peer.name}: {error}", file=sys.stderr)


def progress(line: str) -> None:
    """One line for whoever waits."""
    print(line, file=sys.stderr, flush=True)
