"""`python -m bench`: measure Tulle, its peers and the relay in turns, and print how they compare."""

import argparse
import fnmatch
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.chart import chart_text
from bench.cpus import Placement, place
from bench.load import wrk
from bench.peers import PEERS, Peer
from bench.report import document, json_text, machine, table_text
from bench.run import Outcome, Runner
from bench.scenarios import SCENARIOS, Scenario
from bench.sockets import DESCRIPTORS, raise_descriptor_limit

EXAMPLES = """\
examples:
  python -m bench                                         everything; about an hour
  python -m bench --scenario keepalive-64 --rounds 5
  python -m bench --scenario 'keepalive-*' --peers relay,tulle,haproxy --seconds 5
  python -m bench --scenario reload --seconds 100         a hundred reloads
  python -m bench --scenario 'routes-*' --together --peers tulle
  python -m bench --json out.json --chart out.svg

Envoy is found as $ENVOY, in this interpreter's packages, or in the PATH.
Exit status: 0 done, 1 something that was asked for could not be measured, 2 wrong usage.
"""

BUSY = 0.5
"""The load average above which others disturb the measuring."""


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m bench",
        description="Loads Tulle, its peers and a bare relay in turns; compares CPU, latency and memory.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "--scenario",
        action="append",
        metavar="NAME",
        help="a scenario, or a pattern like 'keepalive-*'; may be repeated (default: all)",
    )
    result.add_argument(
        "--together", action="store_true", help="all scenarios up at once and in turns, to compare them"
    )
    result.add_argument("--peers", metavar="A,B", help=f"only these (default: {','.join(PEERS)})")
    result.add_argument(
        "--rounds", type=positive, default=3, metavar="N", help="rounds of each peer (default: 3)"
    )
    result.add_argument(
        "--seconds", type=positive, default=3, metavar="S", help="seconds of load in a round (default: 3)"
    )
    result.add_argument("--json", type=Path, metavar="FILE", help="write all samples, values and ratios")
    result.add_argument(
        "--chart", type=Path, metavar="FILE.svg", help="draw the first figure of each scenario"
    )
    result.add_argument(
        "--list", action="store_true", help="list scenarios and peers, and what is missing; stop"
    )
    return result


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def choose_scenarios(patterns: Sequence[str] | None) -> list[Scenario]:
    """The scenarios that the patterns name, in the order of the suite; LookupError if one names none."""
    names: set[str] = set()
    for pattern in patterns or ["*"]:
        found = fnmatch.filter(SCENARIOS, pattern)
        if not found:
            raise LookupError(f"no scenario is called {pattern!r}; there are: {', '.join(SCENARIOS)}")
        names.update(found)
    return [scenario for name, scenario in SCENARIOS.items() if name in names]


def choose_peers(text: str | None) -> list[Peer]:
    """The peers named in a list with commas, in the order of the suite; LookupError for an unknown one."""
    names = [name.strip() for name in text.split(",")] if text else list(PEERS)
    for name in names:
        if name not in PEERS:
            raise LookupError(f"no peer is called {name!r}; there are: {', '.join(PEERS)}")
    return [peer for name, peer in PEERS.items() if name in names]


def list_all() -> None:
    print("scenarios:")
    for scenario in SCENARIOS.values():
        print(f"  {scenario.name:16} {scenario.about}")
    print("peers:")
    for peer in PEERS.values():
        print(f"  {peer.name:16} {peer.missing() or peer.version()}")


def warn(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr)


def placement() -> Placement:
    """Where proxy and load run, with a warning when the machine is too small for honest figures."""
    where = place(os.sched_getaffinity(0))
    if not where.apart:
        warn("only one processor: proxy and load disturb each other, CPU time is all that can be compared")
    if (limit := raise_descriptor_limit()) < DESCRIPTORS:
        warn(f"only {limit} open files are allowed; 10,000 connections may fail (ulimit -n {DESCRIPTORS})")
    if (busy := os.getloadavg()[0]) > BUSY:
        warn(f"the machine is busy (load average {busy:.1f}): mind the spread, latencies above all")
    return where


def leave(*_: object) -> None:
    raise SystemExit(130)


def main(arguments: Sequence[str] | None = None) -> int:
    options_parser = parser()
    options = options_parser.parse_args(arguments)
    try:
        scenarios, asked = choose_scenarios(options.scenario), choose_peers(options.peers)
    except LookupError as error:
        options_parser.error(str(error.args[0]))
    if options.list:
        list_all()
        return 0
    for problem in (PEERS["relay"].missing(), wrk.missing()):
        if problem:
            warn(problem)
            return 1
    peers = []
    for peer in asked:
        if lacking := peer.missing():
            warn(f"without {peer.name}: {lacking}")
        else:
            peers.append(peer)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    where = placement()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="tulle-bench-") as folder:
        Path(folder).chmod(0o755)  # a proxy may give up its privileges before it reads its files
        runner = Runner(where, options.rounds, options.seconds, Path(folder))
        for chosen in [scenarios] if options.together else [[scenario] for scenario in scenarios]:
            for outcome in runner.run(chosen, peers):
                outcomes.append(outcome)
                print(f"\n{table_text(outcome)}\n", flush=True)
    on = machine()
    versions = {peer.name: peer.version() for peer in peers}
    print(f"{on['processor']}, kernel {on['kernel']}; {options.rounds} rounds of {options.seconds} s")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    if options.json:
        settings = {"rounds": options.rounds, "seconds": options.seconds, "apart": where.apart}
        options.json.write_text(json_text(document(outcomes, versions, settings)))
    if options.chart:
        options.chart.write_text(chart_text(outcomes))
    return 1 if any(outcome.skipped for outcome in outcomes) or len(peers) < len(asked) else 0


if __name__ == "__main__":
    sys.exit(main())
