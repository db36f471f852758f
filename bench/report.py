"""From samples to something to read: combined values, ratios, a table for people, JSON for programs."""

import json
import math
import os
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.run import Outcome
from bench.scenarios.base import FAILED_PREFIX, TIMELINE_PREFIX
from bench.scenarios.figures import Figure

YARDSTICKS = ("relay", "haproxy")
"""The peers that others are shown as multiples of."""
BASELINE = "direct"


def combined(outcome: Outcome) -> dict[str, dict[str, float]]:
    """Each figure of each peer over all rounds; a figure that a peer does not have is not a number."""
    return {
        peer: {
            figure.key: figure.combine([sample.get(figure.key, math.nan) for sample in samples])
            for figure in outcome.scenario.figures
        }
        for peer, samples in outcome.samples.items()
    }


def spread(outcome: Outcome, peer: str, figure: Figure) -> float:
    """How far the rounds of a figure lie apart, in percent of the median; less than that is no difference."""
    values = [sample.get(figure.key, math.nan) for sample in outcome.samples[peer]]
    middle = median(values)
    return (max(values) - min(values)) / middle * 100 if middle and len(values) > 1 else math.nan


def ratio(values: Mapping[str, Mapping[str, float]], peer: str, yardstick: str, figure: Figure) -> float:
    """How many times the yardstick's figure the peer's is; not a number if there is none to compare with."""
    base = values.get(yardstick, {}).get(figure.key, math.nan)
    return values[peer][figure.key] / base if base else math.nan


def added(values: Mapping[str, Mapping[str, float]], peer: str, figure: Figure) -> float:
    """What the peer's figure is above the one measured without a proxy."""
    return values[peer][figure.key] - values.get(BASELINE, {}).get(figure.key, math.nan)


def number(value: float, digits: int) -> str:
    if math.isinf(value):
        return "never"
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def rows(outcome: Outcome) -> list[list[str]]:
    """The table of a scenario as cells, the titles first."""
    values = combined(outcome)
    yardsticks = [yardstick for yardstick in YARDSTICKS if yardstick in values]
    titles = ["peer"]
    table = [titles] + [[peer] for peer in values]
    for place, figure in enumerate(outcome.scenario.figures):
        titles.append(f"{figure.title} {figure.unit}".strip())
        for row in table[1:]:
            row.append(number(values[row[0]][figure.key], figure.digits))
        if place == 0 and (figure.ratios or figure.added):
            titles.append("spread %")
            for row in table[1:]:
                row.append(number(spread(outcome, row[0], figure), 0))
        if figure.ratios:
            for yardstick in yardsticks:
                titles.append(f"x {yardstick}")
                for row in table[1:]:
                    row.append(number(ratio(values, row[0], yardstick, figure), 2))
        if figure.added and BASELINE in values:
            titles.append("added")
            for row in table[1:]:
                row.append(number(added(values, row[0], figure), figure.digits))
    return table


def kinds(outcome: Outcome, peer: str) -> dict[str, int]:
    """How requests through a peer failed, and how many in all rounds."""
    total = Counter[str]()
    for sample in outcome.samples[peer]:
        for key, value in sample.items():
            if key.startswith(FAILED_PREFIX):
                total[key.removeprefix(FAILED_PREFIX)] += int(value)
    return dict(total)


def timeline(outcome: Outcome, peer: str) -> dict[float, float]:
    """How a rate went in time: its median over all rounds by the seconds at which it was measured."""
    samples = outcome.samples[peer]
    keys = [key for key in samples[0] if key.startswith(TIMELINE_PREFIX)]
    return {
        float(key.removeprefix(TIMELINE_PREFIX)): median(sample[key] for sample in samples) for key in keys
    }


def kinds_text(outcome: Outcome, peer: str) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in kinds(outcome, peer).items())


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table of cells: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in table
    ]


def table_text(outcome: Outcome) -> str:
    """The table of a scenario, aligned, with its title above and the skipped peers below."""
    lines = [f"{outcome.scenario.name}: {outcome.scenario.about}"]
    if outcome.samples:
        lines += [f"  {line}" for line in aligned(rows(outcome))]
        lines += [
            f"  {peer} failed: {reasons}"
            for peer in outcome.samples
            if (reasons := kinds_text(outcome, peer))
        ]
    elif not outcome.skipped:
        lines.append("  none of the peers at hand can take part")
    lines += [f"  {peer} skipped: {reason}" for peer, reason in outcome.skipped.items()]
    return "\n".join(lines)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model,
        "processors": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def document(
    outcomes: Sequence[Outcome], versions: Mapping[str, str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """All that was measured, ready for JSON: for each figure its value, its rounds and its ratios."""
    return {
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "settings": dict(settings),
        "versions": dict(versions),
        "scenarios": [_scenario(outcome) for outcome in outcomes],
    }


def _scenario(outcome: Outcome) -> dict[str, Any]:
    values = combined(outcome)
    return {
        "name": outcome.scenario.name,
        "about": outcome.scenario.about,
        "units": {figure.key: figure.unit for figure in outcome.scenario.figures},
        "skipped": outcome.skipped,
        "failures": {peer: kinds(outcome, peer) for peer in outcome.samples},
        "timelines": {peer: line for peer in outcome.samples if (line := timeline(outcome, peer))},
        "peers": {
            peer: {
                figure.key: {
                    "value": values[peer][figure.key],
                    "rounds": [sample.get(figure.key, math.nan) for sample in samples],
                    **{
                        f"per_{yardstick}": ratio(values, peer, yardstick, figure)
                        for yardstick in YARDSTICKS
                        if figure.ratios
                    },
                    **({"added": added(values, peer, figure)} if figure.added else {}),
                }
                for figure in outcome.scenario.figures
            }
            for peer, samples in outcome.samples.items()
        },
    }


def json_text(content: Mapping[str, Any]) -> str:
    """JSON with null for what is not a number."""
    return json.dumps(_without_nan(content), indent=1) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
