"""Runs scenarios: starts the backend and the peers, and takes rounds in turn over them (A B C, A B C, ...).

Turns make the figures comparable on a machine that others use too: what disturbs one round disturbs its
neighbours. Scenarios that run together take turns too, so that one can be compared with another. A peer that
cannot start or dies is skipped with the reason; the others go on.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.cpus import Placement
from bench.demand import Secure
from bench.hosts import command as hosts_command
from bench.http2_backend import command as http2_backend
from bench.papers import write_papers
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


@dataclass
class Row:
    """A scenario while it is run: who takes part, and what stays up between the rounds."""

    outcome: Outcome
    entries: list[Entry]
    endpoints: tuple[int, ...]
    stages: dict[str, Stage] = field(default_factory=dict)


@dataclass(frozen=True)
class Runner:
    """How to run scenarios: where, how often, how long a round lasts, and in which folder."""

    placement: Placement
    rounds: int
    seconds: int
    folder: Path

    def run(self, scenarios: Sequence[Scenario], peers: Sequence[Peer]) -> list[Outcome]:
        """All rounds of all peers that can take part, the scenarios in turn as well."""
        with ExitStack() as running:
            rows = [self._row(scenario, peers, running) for scenario in scenarios]
            for turn in range(1, self.rounds + 1):
                for row in rows:
                    self._take_turn(row, turn)
        return [row.outcome for row in rows]

    def _row(self, scenario: Scenario, peers: Sequence[Peer], running: ExitStack) -> Row:
        """Start what the scenario needs, for as long as `running` lasts."""
        entries = [entry for peer in peers for entry in scenario.entries(peer)]
        row = Row(Outcome(scenario), entries, running.enter_context(self._backend(scenario)))
        for entry in entries if not scenario.fresh else ():
            with self._skipping(row.outcome, entry):
                stage = running.enter_context(self._stage(scenario, entry, row.endpoints))
                scenario.measure(replace(stage, seconds=WARM_UP_SECONDS))
                row.stages[entry.name] = stage
        return row

    def _take_turn(self, row: Row, turn: int) -> None:
        """One round of each of its peers."""
        outcome = row.outcome
        scenario = outcome.scenario
        for entry in row.entries:
            if entry.name in outcome.skipped:
                continue
            progress(f"{scenario.name}: round {turn} of {self.rounds}, {entry.name}")
            with self._skipping(outcome, entry), ExitStack() as own:
                stage = row.stages.get(entry.name) or own.enter_context(
                    self._stage(scenario, entry, row.endpoints)
                )
                sample = scenario.measure(stage)
                stage.running.check()
                outcome.samples.setdefault(entry.name, []).append(sample)

    @contextmanager
    def _backend(self, scenario: Scenario) -> Iterator[tuple[int, ...]]:
        """The ports of what the proxies send requests to."""
        ports = free_ports(max(1, len(scenario.hosts)))
        over_http2 = scenario.http2 and not scenario.secure
        ready = "/counts" if scenario.hosts else "/"
        if scenario.hosts:
            command = hosts_command(scenario.hosts, ports)
        elif scenario.grpc:
            command = python_module("bench.grpc_backend", "--port", ports[0])
        elif over_http2:
            command = http2_backend(ports[0], self.folder)
        else:
            command = python_module("bench.backend", "--port", ports[0], "--close-rate", scenario.close_rate)
        backend = Running("backend", command, port=ports[0], folder=self.folder, cpus=self.placement.load)
        try:
            if over_http2:
                backend.wait_listening()  # it is not asked in HTTP/1.1
            else:
                backend.wait_ready(ready)
            yield ports
        finally:
            backend.stop()

    @contextmanager
    def _stage(self, scenario: Scenario, entry: Entry, endpoints: tuple[int, ...]) -> Iterator[Stage]:
        """The peer, started for the scenario in a folder of its own, and stopped at the end."""
        peer = entry.peer
        folder = self.folder / f"{scenario.name}-{entry.name}".replace(" ", "-")
        folder.mkdir()
        cpus = self.placement.both if scenario.both_cpus else self.placement.proxy
        demand = scenario.demand(free_port(), endpoints, entry.policy)
        progress(f"{scenario.name}: starting {entry.name}")
        try:
            if scenario.variants and (reason := peer.refuses(demand, folder)):
                raise Failed(reason)
            with ExitStack() as started:
                behind: tuple[Running, ...] = ()
                if scenario.secure:
                    write_papers(folder)
                    demand = replace(demand, secure=Secure("server", folder))
                if scenario.secure == "pair":
                    (folder / "behind").mkdir()
                    other = peer.start(replace(demand, http2=False), folder / "behind", cpus)
                    started.callback(other.stop)
                    behind = (other,)
                    demand = replace(
                        demand, port=free_port(), endpoints=(other.port,), secure=Secure("client", folder)
                    )
                running = peer.start(demand, folder, self.placement.load if peer.beside_load else cpus)
                started.callback(running.stop)
                yield Stage(peer, running, demand, self.placement, self.seconds, behind)
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
